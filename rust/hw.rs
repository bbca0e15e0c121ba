// SPDX-License-Identifier: GPL-2.0

//! The card's registers: `docs/hardware.md`, "Registers".

use kernel::{
    io::register,
    pci,
    prelude::*,
    sizes::SZ_64K, //
};

/// The BAR with the registers.
pub(crate) const REGISTER_BAR: u32 = 0;
/// The BAR through which the CPU sees VRAM.
pub(crate) const APERTURE_BAR: u32 = 2;
/// Bits of the card's bus addresses.
pub(crate) const DMA_BITS: u32 = 44;

/// The mapped registers.
pub(crate) type Registers<'a> = pci::Bar<'a, SZ_64K>;

register! {
    /// Which chip it is; see [`Chip`].
    pub(crate) CHIP_ID(u32) @ 0x00000000 {
        31:0 id;
    }

    /// The chip's revision.
    pub(crate) CHIP_REV(u32) @ 0x00000004 {
        7:4 major;
        3:0 minor;
    }

    /// Writing [`RESET_MAGIC`] resets every register and engine; VRAM keeps its content.
    pub(crate) RESET(u32) @ 0x00000008 {
        31:0 magic;
    }

    /// What the card can do: `DRM_PDDGPU_FEATURE_*`.
    pub(crate) FEATURES(u32) @ 0x0000000c {
        31:0 mask;
    }

    /// Bytes of VRAM.
    pub(crate) VRAM_SIZE(u64) @ 0x00000010 {
        63:0 bytes;
    }

    /// Bytes of GTT address space.
    pub(crate) GTT_SIZE(u64) @ 0x00000018 {
        63:0 bytes;
    }

    /// GPU address of the first byte of VRAM.
    pub(crate) VRAM_START(u64) @ 0x00000020 {
        63:0 address;
    }

    /// GPU address of the last byte of VRAM.
    pub(crate) VRAM_END(u64) @ 0x00000028 {
        63:0 address;
    }

    /// GPU address of the first byte of the GTT window.
    pub(crate) GTT_START(u64) @ 0x00000030 {
        63:0 address;
    }

    /// GPU address of the last byte of the GTT window.
    pub(crate) GTT_END(u64) @ 0x00000038 {
        63:0 address;
    }

    /// VRAM as the card's engines see it.
    pub(crate) MC_VRAM_CTRL(u32) @ 0x00000100 {
        0:0 enable => bool;
    }

    /// The GTT window.
    pub(crate) MC_GTT_CTRL(u32) @ 0x00000104 {
        0:0 enable => bool;
    }

    /// The CPU's aperture.
    pub(crate) MC_FB_CTRL(u32) @ 0x00000108 {
        0:0 enable => bool;
    }
}

/// What [`RESET`] wants to see.
pub(crate) const RESET_MAGIC: u32 = 0x5253_5421;

/// The chips of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chip {
    Pdd1000,
    Pdd2000,
    Pdd3000,
}

impl Chip {
    /// What [`CHIP_ID`] reads.
    pub(crate) fn id(self) -> u32 {
        match self {
            Self::Pdd1000 => 0x1000,
            Self::Pdd2000 => 0x2000,
            Self::Pdd3000 => 0x3000,
        }
    }

    /// The name people know it by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pdd1000 => "PDD1000",
            Self::Pdd2000 => "PDD2000",
            Self::Pdd3000 => "PDD3000",
        }
    }
}

impl TryFrom<CHIP_ID> for Chip {
    type Error = Error;

    /// Fails with `ENODEV` for a chip that is none of them.
    fn try_from(reg: CHIP_ID) -> Result<Self> {
        [Self::Pdd1000, Self::Pdd2000, Self::Pdd3000]
            .into_iter()
            .find(|chip| chip.id() == reg.into_raw())
            .ok_or(ENODEV)
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../tests/kunit/hw.rs"]
mod kunit;
