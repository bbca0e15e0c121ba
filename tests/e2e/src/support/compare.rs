// SPDX-License-Identifier: GPL-2.0

//! Comparing what is in a buffer with what should be.

use anyhow::{bail, ensure, Result};
use pddgpu::Mapping;

/// Fails and tells where, if two contents differ.
pub fn ensure_same(found: &[u8], wanted: &[u8], what: &str) -> Result<()> {
    ensure!(
        found.len() == wanted.len(),
        "{what}: {} bytes, not {}",
        found.len(),
        wanted.len()
    );
    // One comparison of all is far quicker in an emulated guest than one for each byte.
    if found == wanted {
        return Ok(());
    }
    let pairs = found.iter().zip(wanted);
    let at = pairs.take_while(|(found, wanted)| found == wanted).count();
    bail!(
        "{what}: byte {at:#x} is {:#04x}, not {:#04x}",
        found[at],
        wanted[at]
    )
}

/// Fails if a mapping does not hold this.
pub fn ensure_holds(map: &Mapping, wanted: &[u8], what: &str) -> Result<()> {
    ensure_same(&map.to_vec(), wanted, what)
}

/// Fails if a mapping holds anything but zeros.
pub fn ensure_zero(map: &Mapping, what: &str) -> Result<()> {
    ensure_holds(map, &vec![0; map.len()], what)
}
