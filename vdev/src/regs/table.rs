// SPDX-License-Identifier: GPL-2.0

//! Which registers there are: where, how wide, of which feature and of what kind.

use crate::address_space::ADDRESS_BITS;
use crate::regs::identity::Identity;

/// FEATURES: the GART.
pub const FEATURE_GART: u32 = 1 << 0;
/// FEATURES: the copy engine, that is the command processor.
pub const FEATURE_COPY: u32 = 1 << 1;
/// FEATURES: the packet FILL.
pub const FEATURE_FILL: u32 = 1 << 2;
/// FEATURES: ECC reports.
pub const FEATURE_ECC: u32 = 1 << 3;

/// Bit 0 of every control register.
pub const ENABLE: u64 = 1 << 0;
/// MC_VRAM_CTRL: ECC.
pub const VRAM_ECC: u64 = 1 << 1;
/// MC_STATUS: VRAM has lost its content.
pub const VRAM_LOST: u64 = 1 << 0;
/// GART_FAULT_STATUS: there is a fault.
pub const GART_FAULT_VALID: u64 = 1 << 0;
/// GART_FAULT_STATUS: it was a write.
pub const GART_FAULT_WRITE: u64 = 1 << 1;
/// GART_FAULT_STATUS: the address is in no window.
pub const GART_FAULT_OUTSIDE: u64 = 1 << 2;
/// ECC_STATUS: an error has been reported.
pub const ECC_PENDING: u64 = 1 << 0;
/// IH_CTRL: raise the MSI for each entry.
pub const IH_MSI: u64 = 1 << 1;
/// IH_RING_WPTR: an entry found no room.
pub const IH_OVERFLOW: u64 = 1 << 31;
/// CP_CTRL: halt.
pub const CP_HALT: u64 = 1 << 1;
/// CP_STATUS: there is work.
pub const CP_BUSY: u64 = 1 << 0;
/// CP_STATUS: stopped for good by a bad packet or a fault.
pub const CP_ERROR: u64 = 1 << 1;

/// What reads and writes of a register do.
pub enum Kind {
    /// Reads the card's identity; writes are ignored.
    Identity(fn(&Identity) -> u64),
    /// Keeps the bits of the mask; the others read 0. Resets to 0.
    ReadWrite(u64),
    /// Reads what the engines say; writes are ignored. Resets to 0.
    ReadOnly,
    /// Reads what the card says; ones that are written clear bits. Resets to 0, except MC_STATUS.
    WriteOneToClear,
    /// Reads 0; a write is an event.
    WriteOnly,
}

/// A register.
pub struct Register {
    /// Where it is in BAR0.
    pub offset: u64,
    /// What `docs/hardware.md` calls it.
    pub name: &'static str,
    /// 4 or 8 bytes.
    pub width: u64,
    /// Features of which the card must have one for it to be there; 0 if it always is.
    pub features: u32,
    /// What reads and writes do.
    pub kind: Kind,
}

const fn register(offset: u64, name: &'static str, width: u64, kind: Kind) -> Register {
    Register {
        offset,
        name,
        width,
        features: 0,
        kind,
    }
}

impl Register {
    /// The register, there only with one of `features`.
    const fn of(self, features: u32) -> Register {
        Register { features, ..self }
    }
}

/// Features that post entries to the interrupt ring.
const POSTING: u32 = FEATURE_GART | FEATURE_COPY | FEATURE_ECC;

/// Bits of an address of a page.
const PAGE_ADDRESS: u64 = ((1 << ADDRESS_BITS) - 1) & !0xfff;

const ALL: u64 = 0xffff_ffff;

const fn chip_id(id: &Identity) -> u64 {
    id.chip_id as u64
}

const fn chip_rev(id: &Identity) -> u64 {
    id.chip_rev as u64
}

const fn features(id: &Identity) -> u64 {
    id.features as u64
}

/// Every register of any card, by rising offset.
#[rustfmt::skip]
pub const REGISTERS: &[Register] = &[
    register(0x0000, "CHIP_ID", 4, Kind::Identity(chip_id)),
    register(0x0004, "CHIP_REV", 4, Kind::Identity(chip_rev)),
    register(0x0008, "RESET", 4, Kind::WriteOnly),
    register(0x000c, "FEATURES", 4, Kind::Identity(features)),
    register(0x0010, "VRAM_SIZE", 8, Kind::Identity(|id| id.vram_size)),
    register(0x0018, "GTT_SIZE", 8, Kind::Identity(|id| id.gtt_size)),
    register(0x0020, "VRAM_START", 8, Kind::Identity(|id| id.vram_start)),
    register(0x0028, "VRAM_END", 8, Kind::Identity(Identity::vram_end)),
    register(0x0030, "GTT_START", 8, Kind::Identity(|id| id.gtt_start)),
    register(0x0038, "GTT_END", 8, Kind::Identity(Identity::gtt_end)),
    register(0x0100, "MC_VRAM_CTRL", 4, Kind::ReadWrite(ENABLE | VRAM_ECC)),
    register(0x0104, "MC_GTT_CTRL", 4, Kind::ReadWrite(ENABLE)),
    register(0x0108, "MC_FB_CTRL", 4, Kind::ReadWrite(ENABLE)),
    register(0x010c, "MC_STATUS", 4, Kind::WriteOneToClear),
    register(0x0110, "GART_TABLE_BASE", 8, Kind::ReadWrite(PAGE_ADDRESS)).of(FEATURE_GART),
    register(0x0118, "GART_FLUSH", 4, Kind::WriteOnly).of(FEATURE_GART),
    register(0x0120, "GART_FAULT_ADDR", 8, Kind::ReadOnly).of(FEATURE_GART),
    register(0x0128, "GART_FAULT_STATUS", 4, Kind::WriteOneToClear).of(FEATURE_GART),
    register(0x0140, "ECC_ADDR", 8, Kind::ReadOnly).of(FEATURE_ECC),
    register(0x0148, "ECC_STATUS", 4, Kind::WriteOneToClear).of(FEATURE_ECC),
    register(0x0200, "IH_RING_BASE", 4, Kind::ReadWrite(ALL)).of(POSTING),
    register(0x0204, "IH_RING_SIZE", 4, Kind::ReadWrite(ALL)).of(POSTING),
    register(0x0208, "IH_RING_WPTR", 4, Kind::ReadOnly).of(POSTING),
    register(0x020c, "IH_RING_RPTR", 4, Kind::ReadWrite(ALL)).of(POSTING),
    register(0x0210, "IH_CTRL", 4, Kind::ReadWrite(ENABLE | IH_MSI)).of(POSTING),
    register(0x0300, "CP_RING_BASE", 4, Kind::ReadWrite(ALL)).of(FEATURE_COPY),
    register(0x0304, "CP_RING_SIZE", 4, Kind::ReadWrite(ALL)).of(FEATURE_COPY),
    register(0x0308, "CP_RING_WPTR", 4, Kind::ReadWrite(ALL)).of(FEATURE_COPY),
    register(0x030c, "CP_RING_RPTR", 4, Kind::ReadOnly).of(FEATURE_COPY),
    register(0x0310, "CP_CTRL", 4, Kind::ReadWrite(ENABLE | CP_HALT)).of(FEATURE_COPY),
    register(0x0314, "CP_STATUS", 4, Kind::ReadOnly).of(FEATURE_COPY),
];

/// A register's place in [`REGISTERS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reg(usize);

impl Reg {
    /// The register at `offset`. Of one there is not, a constant does not compile.
    const fn at(offset: u64) -> Reg {
        let mut index = 0;
        while REGISTERS[index].offset != offset {
            index += 1;
        }
        Reg(index)
    }

    /// The register at an index of [`REGISTERS`].
    pub fn of(index: usize) -> Reg {
        Reg(index)
    }

    /// The register's index in [`REGISTERS`].
    pub fn index(self) -> usize {
        self.0
    }
}

pub const RESET: Reg = Reg::at(0x008);
pub const MC_VRAM_CTRL: Reg = Reg::at(0x100);
pub const MC_GTT_CTRL: Reg = Reg::at(0x104);
pub const MC_FB_CTRL: Reg = Reg::at(0x108);
pub const MC_STATUS: Reg = Reg::at(0x10c);
pub const GART_TABLE_BASE: Reg = Reg::at(0x110);
pub const GART_FLUSH: Reg = Reg::at(0x118);
pub const GART_FAULT_ADDR: Reg = Reg::at(0x120);
pub const GART_FAULT_STATUS: Reg = Reg::at(0x128);
pub const ECC_ADDR: Reg = Reg::at(0x140);
pub const ECC_STATUS: Reg = Reg::at(0x148);
pub const IH_RING_BASE: Reg = Reg::at(0x200);
pub const IH_RING_SIZE: Reg = Reg::at(0x204);
pub const IH_RING_WPTR: Reg = Reg::at(0x208);
pub const IH_RING_RPTR: Reg = Reg::at(0x20c);
pub const IH_CTRL: Reg = Reg::at(0x210);
pub const CP_RING_BASE: Reg = Reg::at(0x300);
pub const CP_RING_SIZE: Reg = Reg::at(0x304);
pub const CP_RING_WPTR: Reg = Reg::at(0x308);
pub const CP_RING_RPTR: Reg = Reg::at(0x30c);
pub const CP_CTRL: Reg = Reg::at(0x310);
pub const CP_STATUS: Reg = Reg::at(0x314);
