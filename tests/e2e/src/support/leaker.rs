// SPDX-License-Identifier: GPL-2.0

//! Children that keep a buffer.

use anyhow::Result;

use crate::support::{
    child::{Child, Keep, Part},
    fixture::Bench,
};

/// Starts a child that keeps a buffer.
pub fn start_leaker(bench: &Bench, keep: Keep, size: u64) -> Result<(Child, String)> {
    let mut child = Child::start(Part::Leak, bench.card.path(), None)?;
    child.tell(&format!("{keep:?} {size}"))?;
    let answer = child.listen()?;
    Ok((child, answer))
}
