// SPDX-License-Identifier: GPL-2.0

//! What the card says that it is.

use serde::Deserialize;

/// What the identification registers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// CHIP_ID
    pub chip_id: u32,
    /// CHIP_REV: major revision in bits 7:4, minor in 3:0
    pub chip_rev: u32,
    /// FEATURES
    pub features: u32,
    /// VRAM_SIZE in bytes
    pub vram_size: u64,
    /// GTT_SIZE in bytes
    pub gtt_size: u64,
    /// VRAM_START, a GPU address
    pub vram_start: u64,
    /// GTT_START, a GPU address
    pub gtt_start: u64,
    /// VRAM_END if it is not to follow from start and size
    pub vram_end: Option<u64>,
    /// GTT_END if it is not to follow from start and size
    pub gtt_end: Option<u64>,
}

/// Values to show in place of some of the identification registers' own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityOverride {
    /// CHIP_ID
    pub chip_id: Option<u32>,
    /// CHIP_REV
    pub chip_rev: Option<u32>,
    /// FEATURES
    pub features: Option<u32>,
    /// VRAM_SIZE
    pub vram_size: Option<u64>,
    /// GTT_SIZE
    pub gtt_size: Option<u64>,
    /// VRAM_START
    pub vram_start: Option<u64>,
    /// GTT_START
    pub gtt_start: Option<u64>,
    /// VRAM_END
    pub vram_end: Option<u64>,
    /// GTT_END
    pub gtt_end: Option<u64>,
}

impl Identity {
    /// VRAM_END: the last GPU address of the VRAM.
    pub fn vram_end(&self) -> u64 {
        self.vram_end
            .unwrap_or_else(|| last(self.vram_start, self.vram_size))
    }

    /// GTT_END: the last GPU address of the GTT window.
    pub fn gtt_end(&self) -> u64 {
        self.gtt_end
            .unwrap_or_else(|| last(self.gtt_start, self.gtt_size))
    }

    /// This identity, with the values of `by` where it has some.
    pub fn overridden(&self, by: &IdentityOverride) -> Identity {
        Identity {
            chip_id: by.chip_id.unwrap_or(self.chip_id),
            chip_rev: by.chip_rev.unwrap_or(self.chip_rev),
            features: by.features.unwrap_or(self.features),
            vram_size: by.vram_size.unwrap_or(self.vram_size),
            gtt_size: by.gtt_size.unwrap_or(self.gtt_size),
            vram_start: by.vram_start.unwrap_or(self.vram_start),
            gtt_start: by.gtt_start.unwrap_or(self.gtt_start),
            vram_end: by.vram_end.or(self.vram_end),
            gtt_end: by.gtt_end.or(self.gtt_end),
        }
    }
}

/// The last address of a window; wraps where an odd card's size or start makes it.
fn last(start: u64, size: u64) -> u64 {
    start.wrapping_add(size).wrapping_sub(1)
}
