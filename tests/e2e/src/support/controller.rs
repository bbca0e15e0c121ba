// SPDX-License-Identifier: GPL-2.0

//! The card's memory controller.

use anyhow::Result;

use crate::support::fixture::virtual_card;

/// The enable registers of the memory controller.
pub const MC_CONTROLS: [u64; 3] = [0x100, 0x104, 0x108];

/// How many of the memory controller's parts are on.
pub fn parts_enabled() -> Result<usize> {
    let mut card = virtual_card()?;
    let mut enabled = 0;
    for offset in MC_CONTROLS {
        enabled += usize::from(card.read_reg(offset, 4)? & 1 == 1);
    }
    Ok(enabled)
}
