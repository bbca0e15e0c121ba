// SPDX-License-Identifier: GPL-2.0

//! How values are printed as JSON.

use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;

/// Prints a value as JSON that is easy to read.
pub fn print(value: &impl Serialize) -> Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}
