// SPDX-License-Identifier: GPL-2.0

//! How values are printed as JSON.

use anyhow::Result;
use serde::Serialize;

use crate::output::stdout;

/// Prints a value as JSON that is easy to read.
pub fn print(value: &impl Serialize) -> Result<()> {
    stdout::print(&(serde_json::to_string_pretty(value)? + "\n"))
}

/// Prints a value as JSON in one line, so that a reader of several knows where each ends.
pub fn print_line(value: &impl Serialize) -> Result<()> {
    stdout::print(&(serde_json::to_string(value)? + "\n"))
}
