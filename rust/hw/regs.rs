// SPDX-License-Identifier: GPL-2.0

//! The card's registers, command packets and interrupt entries, as `docs/hardware.md` specifies
//! them.

use kernel::{
    io::register,
    pci,
    prelude::*,
    sizes::SZ_64K, //
};

/// The BAR with the registers.
pub(crate) const REGISTER_BAR: u32 = 0;
/// The BAR through which the CPU accesses VRAM.
pub(crate) const APERTURE_BAR: u32 = 2;
/// Bits of the card's bus addresses.
pub(crate) const DMA_BITS: u32 = 44;

/// The mapped registers.
pub(crate) type Registers<'a> = pci::Bar<'a, SZ_64K>;
/// The registers, mapped as long as the card is bound.
pub(crate) type BoundRegisters = pci::DevresBar<SZ_64K>;

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

    /// Access to VRAM by the card's engines.
    pub(crate) MC_VRAM_CTRL(u32) @ 0x00000100 {
        1:1 ecc => bool;
        0:0 enable => bool;
    }

    /// Access to the GTT window by the card's engines.
    pub(crate) MC_GTT_CTRL(u32) @ 0x00000104 {
        0:0 enable => bool;
    }

    /// Access to VRAM by the CPU, through the aperture.
    pub(crate) MC_FB_CTRL(u32) @ 0x00000108 {
        0:0 enable => bool;
    }

    /// Whether VRAM has lost its content since power-on. Writing 1 to `lost` clears it.
    pub(crate) MC_STATUS(u32) @ 0x0000010c {
        0:0 lost => bool;
    }

    /// VRAM offset of the GART table.
    pub(crate) GART_TABLE_BASE(u64) @ 0x00000110 {
        63:0 offset;
    }

    /// Writing any value drops the GART entries that the card has cached.
    pub(crate) GART_FLUSH(u32) @ 0x00000118 {
        31:0 any;
    }

    /// The first GPU address that faulted.
    pub(crate) GART_FAULT_ADDR(u64) @ 0x00000120 {
        63:0 address;
    }

    /// Why that address faulted. Writing 1 to `valid` clears the fault.
    pub(crate) GART_FAULT_STATUS(u32) @ 0x00000128 {
        2:2 outside => bool;
        1:1 write => bool;
        0:0 valid => bool;
    }

    /// VRAM offset of the newest uncorrectable error.
    pub(crate) ECC_ADDR(u64) @ 0x00000140 {
        63:0 offset;
    }

    /// Whether VRAM had an uncorrectable error. Writing 1 to `pending` clears it.
    pub(crate) ECC_STATUS(u32) @ 0x00000148 {
        0:0 pending => bool;
    }

    /// GPU address of the interrupt ring, in pages of 4 KiB.
    pub(crate) IH_RING_BASE(u32) @ 0x00000200 {
        31:0 page;
    }

    /// Bytes of the interrupt ring.
    pub(crate) IH_RING_SIZE(u32) @ 0x00000204 {
        31:0 bytes;
    }

    /// Byte offset at which the card writes the next entry.
    pub(crate) IH_RING_WPTR(u32) @ 0x00000208 {
        31:31 overflow => bool;
        30:0 offset;
    }

    /// Byte offset at which the driver reads the next entry.
    pub(crate) IH_RING_RPTR(u32) @ 0x0000020c {
        31:0 offset;
    }

    /// Enables the interrupt ring and the MSI.
    pub(crate) IH_CTRL(u32) @ 0x00000210 {
        1:1 msi => bool;
        0:0 enable => bool;
    }

    /// GPU address of the command ring, in pages of 4 KiB.
    pub(crate) CP_RING_BASE(u32) @ 0x00000300 {
        31:0 page;
    }

    /// Bytes of the command ring.
    pub(crate) CP_RING_SIZE(u32) @ 0x00000304 {
        31:0 bytes;
    }

    /// Byte offset at which the driver writes the next packet. Writing it is the doorbell.
    pub(crate) CP_RING_WPTR(u32) @ 0x00000308 {
        31:0 offset;
    }

    /// Byte offset of the packet that the engine is executing.
    pub(crate) CP_RING_RPTR(u32) @ 0x0000030c {
        31:0 offset;
    }

    /// Enables or halts the command processor.
    pub(crate) CP_CTRL(u32) @ 0x00000310 {
        1:1 halt => bool;
        0:0 enable => bool;
    }

    /// Whether the command processor is busy, and whether it stopped with an error.
    pub(crate) CP_STATUS(u32) @ 0x00000314 {
        1:1 error => bool;
        0:0 busy => bool;
    }
}

/// GART entry: the page may be read.
pub(crate) const GART_VALID: u64 = 1 << 0;
/// GART entry: the page may be written.
pub(crate) const GART_WRITABLE: u64 = 1 << 1;
/// GART entry: accesses are coherent with the CPU's caches.
pub(crate) const GART_SNOOPED: u64 = 1 << 2;

/// Bytes of a packet.
pub(crate) const PACKET_SIZE: u32 = 32;

/// A packet for the command processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// Copies `bytes` from one GPU address to another; all multiples of 4.
    Copy { from: u64, to: u64, bytes: u64 },
    /// Repeats `value` over `bytes` at a GPU address; both multiples of 4.
    Fill { value: u32, to: u64, bytes: u64 },
    /// Writes `value` to a GPU address, a multiple of 8, when all packets before it are done, and
    /// raises an interrupt.
    Fence { value: u64, to: u64 },
}

impl Packet {
    /// The packet in the format of the ring.
    pub(crate) fn encode(self) -> [u64; 4] {
        const INTERRUPT: u64 = 1 << 8;

        match self {
            Self::Copy { from, to, bytes } => [1, from, to, bytes],
            Self::Fill { value, to, bytes } => [2, value.into(), to, bytes],
            Self::Fence { value, to } => [3 | INTERRUPT, value, to, 0],
        }
    }
}

/// Bytes of an entry of the interrupt ring.
pub(crate) const INTERRUPT_SIZE: u32 = 16;

/// An entry of the interrupt ring: the reason for an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// A [`Packet::Fence`] was reached.
    Fence,
    /// The command processor stopped with an error at this byte offset of its ring.
    CommandError(u64),
    /// An engine faulted at this GPU address.
    GartFault(u64),
    /// VRAM had an uncorrectable error at this byte offset.
    Ecc(u64),
    /// A source that this driver does not know.
    Unknown,
}

impl Interrupt {
    /// Decodes an entry of the ring.
    pub(crate) fn decode([source, data]: [u64; 2]) -> Self {
        // CAST: The upper half is reserved.
        match source as u32 {
            1 => Self::Fence,
            2 => Self::CommandError(data),
            3 => Self::GartFault(data),
            4 => Self::Ecc(data),
            _ => Self::Unknown,
        }
    }
}

/// The value of [`RESET`](struct@RESET) that resets the card.
pub(crate) const RESET_MAGIC: u32 = 0x5253_5421;

/// The chips of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chip {
    Pdd1000,
    Pdd2000,
    Pdd3000,
}

impl Chip {
    /// The value of [`CHIP_ID`](struct@CHIP_ID).
    pub(crate) fn id(self) -> u32 {
        match self {
            Self::Pdd1000 => 0x1000,
            Self::Pdd2000 => 0x2000,
            Self::Pdd3000 => 0x3000,
        }
    }

    /// The name of the product.
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

    /// Fails with `ENODEV` for an unknown chip.
    fn try_from(reg: CHIP_ID) -> Result<Self> {
        [Self::Pdd1000, Self::Pdd2000, Self::Pdd3000]
            .into_iter()
            .find(|chip| chip.id() == reg.into_raw())
            .ok_or(ENODEV)
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/hw/regs.rs"]
mod kunit;
