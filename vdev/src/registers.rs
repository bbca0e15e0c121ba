// SPDX-License-Identifier: GPL-2.0

//! The register file behind BAR0: which registers there are, and what reads and writes do to them.
//!
//! A register that needs more than its value changed reports an [`Effect`], which the device
//! carries out. Nothing here knows of PCI, memory or sockets.

use serde::Deserialize;

/// What has to be written to RESET.
pub const RESET_KEY: u32 = 0x5253_5421;

/// Bit of MC_FB_CTRL that opens the aperture.
const FB_ENABLE: u64 = 1;

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
    chip_id: Option<u32>,
    chip_rev: Option<u32>,
    features: Option<u32>,
    vram_size: Option<u64>,
    gtt_size: Option<u64>,
    vram_start: Option<u64>,
    gtt_start: Option<u64>,
    vram_end: Option<u64>,
    gtt_end: Option<u64>,
}

impl Identity {
    fn vram_end(&self) -> u64 {
        self.vram_end
            .unwrap_or_else(|| last(self.vram_start, self.vram_size))
    }

    fn gtt_end(&self) -> u64 {
        self.gtt_end
            .unwrap_or_else(|| last(self.gtt_start, self.gtt_size))
    }

    fn overridden(&self, by: &IdentityOverride) -> Identity {
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

/// What reads and writes of a register do.
enum Kind {
    /// Reads the card's identity; writes are ignored.
    Identity(fn(&Identity) -> u64),
    /// Keeps the bits of the mask; the others read 0. Resets to 0.
    ReadWrite(u64),
    /// Reads 0; a write is an event.
    WriteOnly,
}

struct Register {
    offset: u64,
    name: &'static str,
    /// 4 or 8 bytes.
    width: u64,
    kind: Kind,
}

const fn register(offset: u64, name: &'static str, width: u64, kind: Kind) -> Register {
    Register {
        offset,
        name,
        width,
        kind,
    }
}

const RESET: u64 = 0x0008;
const MC_FB_CTRL: u64 = 0x0108;

/// Every register of the card, by rising offset.
const REGISTERS: &[Register] = &[
    register(0x0000, "CHIP_ID", 4, Kind::Identity(|id| id.chip_id.into())),
    register(
        0x0004,
        "CHIP_REV",
        4,
        Kind::Identity(|id| id.chip_rev.into()),
    ),
    register(RESET, "RESET", 4, Kind::WriteOnly),
    register(
        0x000c,
        "FEATURES",
        4,
        Kind::Identity(|id| id.features.into()),
    ),
    register(0x0010, "VRAM_SIZE", 8, Kind::Identity(|id| id.vram_size)),
    register(0x0018, "GTT_SIZE", 8, Kind::Identity(|id| id.gtt_size)),
    register(0x0020, "VRAM_START", 8, Kind::Identity(|id| id.vram_start)),
    register(0x0028, "VRAM_END", 8, Kind::Identity(Identity::vram_end)),
    register(0x0030, "GTT_START", 8, Kind::Identity(|id| id.gtt_start)),
    register(0x0038, "GTT_END", 8, Kind::Identity(Identity::gtt_end)),
    register(0x0100, "MC_VRAM_CTRL", 4, Kind::ReadWrite(0x3)),
    register(0x0104, "MC_GTT_CTRL", 4, Kind::ReadWrite(0x1)),
    register(MC_FB_CTRL, "MC_FB_CTRL", 4, Kind::ReadWrite(FB_ENABLE)),
];

/// What a write asks the device to do, beyond keeping the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Reset every register and engine.
    Reset,
    /// Open or close the aperture.
    Aperture(bool),
}

/// The offset is of no register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unlisted;

/// The registers of one card.
pub struct RegisterFile {
    /// What the card is.
    own: Identity,
    /// What it passes for.
    shown: Identity,
    /// Values of the registers of [`REGISTERS`], by index; those that keep none stay 0.
    values: [u64; REGISTERS.len()],
}

impl RegisterFile {
    /// The registers of a card that is `identity`, just powered on.
    pub fn new(identity: Identity) -> Self {
        RegisterFile {
            shown: identity.clone(),
            own: identity,
            values: [0; REGISTERS.len()],
        }
    }

    /// Shows `by` where it has values, and the card's own identity elsewhere. Survives a reset,
    /// as the identity of a chip would.
    pub fn override_identity(&mut self, by: &IdentityOverride) {
        self.shown = self.own.overridden(by);
    }

    /// Puts every register back to its value at power-on.
    pub fn reset(&mut self) {
        self.values = [0; REGISTERS.len()];
    }

    /// The register that covers the four bytes at `offset`, and how many bits into it they are.
    fn find(offset: u64) -> Result<(usize, u32), Unlisted> {
        let found = REGISTERS
            .iter()
            .position(|r| (r.offset..r.offset + r.width).contains(&offset));
        let index = found.ok_or(Unlisted)?;
        let shift = if offset == REGISTERS[index].offset {
            0
        } else {
            32
        };
        Ok((index, shift))
    }

    /// Reads the four bytes at `offset`, a multiple of four.
    pub fn read(&self, offset: u64) -> Result<u32, Unlisted> {
        let (index, shift) = Self::find(offset)?;
        let value = match REGISTERS[index].kind {
            Kind::Identity(get) => get(&self.shown),
            Kind::ReadWrite(_) => self.values[index],
            Kind::WriteOnly => 0,
        };
        Ok((value >> shift) as u32)
    }

    /// Writes the four bytes at `offset`, a multiple of four.
    pub fn write(&mut self, offset: u64, value: u32) -> Result<Option<Effect>, Unlisted> {
        let (index, shift) = Self::find(offset)?;
        let register = &REGISTERS[index];
        if let Kind::ReadWrite(mask) = register.kind {
            let half = 0xffff_ffff << shift;
            let new = (u64::from(value) << shift) & half & mask;
            self.values[index] = (self.values[index] & !half) | new;
        }
        Ok(match register.offset {
            RESET if value == RESET_KEY => Some(Effect::Reset),
            MC_FB_CTRL => Some(Effect::Aperture(self.values[index] & FB_ENABLE != 0)),
            _ => None,
        })
    }

    /// Name and value of every register, for people.
    pub fn dump(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        REGISTERS.iter().zip(&self.values).map(|(register, value)| {
            let value = match register.kind {
                Kind::Identity(get) => get(&self.shown),
                _ => *value,
            };
            (register.name, value)
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn identity() -> Identity {
        Identity {
            chip_id: 0x2000,
            chip_rev: 0x10,
            features: 0,
            vram_size: 0x1_4000_0000,
            gtt_size: 0x4000_0000,
            vram_start: 0x10_0000_0000,
            gtt_start: 0x1_0000_0000,
            vram_end: None,
            gtt_end: None,
        }
    }

    #[test]
    fn table_is_sorted_aligned_and_disjoint() {
        for register in REGISTERS {
            assert!(matches!(register.width, 4 | 8), "{}", register.name);
            assert_eq!(register.offset % register.width, 0, "{}", register.name);
        }
        for pair in REGISTERS.windows(2) {
            assert!(
                pair[0].offset + pair[0].width <= pair[1].offset,
                "{}",
                pair[1].name
            );
        }
    }

    #[test]
    fn identity_registers_read_and_ignore_writes() {
        let mut file = RegisterFile::new(identity());
        let table = [
            (0x00, 0x2000),
            (0x04, 0x10),
            (0x08, 0),
            (0x0c, 0),
            (0x10, 0x4000_0000),
            (0x14, 1),
            (0x18, 0x4000_0000),
            (0x1c, 0),
            (0x20, 0),
            (0x24, 0x10),
            (0x28, 0x3fff_ffff),
            (0x2c, 0x11),
            (0x30, 0),
            (0x34, 1),
            (0x38, 0x3fff_ffff),
            (0x3c, 1),
        ];
        for (offset, value) in table {
            assert_eq!(file.read(offset), Ok(value), "{offset:#x}");
            assert_eq!(file.write(offset, 0xffff_ffff), Ok(None), "{offset:#x}");
            assert_eq!(file.read(offset), Ok(value), "{offset:#x}");
        }
    }

    #[test]
    fn control_registers_keep_their_bits_until_reset() {
        let mut file = RegisterFile::new(identity());
        for (offset, mask) in [(0x100, 0x3), (0x104, 0x1), (0x108, 0x1)] {
            assert_eq!(file.read(offset), Ok(0));
            file.write(offset, 0xffff_ffff).unwrap();
            assert_eq!(file.read(offset), Ok(mask));
        }
        file.reset();
        for offset in [0x100, 0x104, 0x108] {
            assert_eq!(file.read(offset), Ok(0));
        }
    }

    #[test]
    fn effects() {
        let mut file = RegisterFile::new(identity());
        assert_eq!(file.write(0x108, 1), Ok(Some(Effect::Aperture(true))));
        assert_eq!(file.write(0x108, 2), Ok(Some(Effect::Aperture(false))));
        assert_eq!(file.write(0x008, 0), Ok(None));
        assert_eq!(file.write(0x008, RESET_KEY - 1), Ok(None));
        assert_eq!(file.write(0x008, RESET_KEY), Ok(Some(Effect::Reset)));
    }

    #[test]
    fn engines_to_come_are_unlisted() {
        let mut file = RegisterFile::new(identity());
        for offset in [
            0x040, 0x10c, 0x110, 0x118, 0x128, 0x148, 0x200, 0x210, 0x300, 0x314, 0xfffc,
        ] {
            assert_eq!(file.read(offset), Err(Unlisted), "{offset:#x}");
            assert_eq!(file.write(offset, 1), Err(Unlisted), "{offset:#x}");
        }
    }

    #[test]
    fn override_shows_until_cleared() {
        let mut file = RegisterFile::new(identity());
        let by = IdentityOverride {
            chip_id: Some(0x4000),
            vram_size: Some(0),
            gtt_end: Some(7),
            ..Default::default()
        };
        file.override_identity(&by);
        file.reset();
        assert_eq!(file.read(0x00), Ok(0x4000));
        assert_eq!(file.read(0x10), Ok(0));
        assert_eq!(
            file.read(0x2c),
            Ok(0xf),
            "the end follows from the start and a size of 0"
        );
        assert_eq!(file.read(0x38), Ok(7));
        file.override_identity(&IdentityOverride::default());
        assert_eq!(file.shown, identity());
    }

    #[test]
    fn dump_names_every_register() {
        let mut file = RegisterFile::new(identity());
        file.write(0x100, 1).unwrap();
        let dump: Vec<_> = file.dump().collect();
        assert_eq!(dump.len(), REGISTERS.len());
        assert!(dump.contains(&("CHIP_ID", 0x2000)));
        assert!(dump.contains(&("MC_VRAM_CTRL", 1)));
        assert!(dump.contains(&("RESET", 0)));
    }
}
