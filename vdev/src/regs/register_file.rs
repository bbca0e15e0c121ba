// SPDX-License-Identifier: GPL-2.0

//! The register file behind BAR0: what reads and writes do to the registers of [`crate::regs::table`].
//!
//! A register that needs more than its value changed reports an [`Effect`], which the device
//! carries out; the engines use the values by [`Reg`]. Nothing here knows of PCI, memory or
//! sockets.

use crate::regs::identity::{Identity, IdentityOverride};
use crate::regs::table::*;

/// What has to be written to RESET.
pub const RESET_KEY: u32 = 0x5253_5421;

/// What a write asks the device to do, beyond keeping the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Reset every register and engine.
    Reset,
    /// Open or close the aperture.
    Aperture(bool),
    /// Drop the translations that the GART has kept.
    GartFlush,
    /// CP_CTRL may have changed; `was_enabled` is its enable bit before.
    CommandControl {
        /// Whether the command processor was enabled.
        was_enabled: bool,
    },
    /// There may be work in the command ring.
    CommandRing,
    /// IH_CTRL may have changed; `was_enabled` is its enable bit before.
    InterruptControl {
        /// Whether the interrupt ring was enabled.
        was_enabled: bool,
    },
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
        let mut this = RegisterFile {
            shown: identity.clone(),
            own: identity,
            values: [0; REGISTERS.len()],
        };
        this.set(MC_STATUS, VRAM_LOST);
        this
    }

    /// Shows `by` where it has values, and the card's own identity elsewhere. Survives a reset,
    /// as the identity of a chip would.
    pub fn override_identity(&mut self, by: &IdentityOverride) {
        self.shown = self.own.overridden(by);
    }

    /// Puts every register back to its value after a reset. What MC_STATUS says of the VRAM stays.
    pub fn reset(&mut self) {
        let status = self.get(MC_STATUS);

        self.values = [0; REGISTERS.len()];
        self.set(MC_STATUS, status);
    }

    /// The register that covers the four bytes at `offset`, and how many bits into it they are.
    fn find(&self, offset: u64) -> Result<(usize, u32), Unlisted> {
        let found = REGISTERS
            .iter()
            .position(|r| (r.offset..r.offset + r.width).contains(&offset));
        let index = found
            .filter(|index| self.is_present(&REGISTERS[*index]))
            .ok_or(Unlisted)?;
        let shift = if offset == REGISTERS[index].offset {
            0
        } else {
            32
        };
        Ok((index, shift))
    }

    /// Whether the card has the register: that is, one of the features it belongs to.
    fn is_present(&self, register: &Register) -> bool {
        register.features == 0 || register.features & self.own.features != 0
    }

    /// Reads the four bytes at `offset`, a multiple of four.
    pub fn read(&self, offset: u64) -> Result<u32, Unlisted> {
        let (index, shift) = self.find(offset)?;
        let value = match REGISTERS[index].kind {
            Kind::Identity(get) => get(&self.shown),
            _ => self.values[index],
        };
        Ok((value >> shift) as u32)
    }

    /// Writes the four bytes at `offset`, a multiple of four.
    pub fn write(&mut self, offset: u64, value: u32) -> Result<Option<Effect>, Unlisted> {
        let (index, shift) = self.find(offset)?;
        let before = self.values[index];
        match REGISTERS[index].kind {
            Kind::ReadWrite(mask) => {
                let half = 0xffff_ffff << shift;
                let new = (u64::from(value) << shift) & half & mask;
                self.values[index] = (before & !half) | new;
            }
            Kind::WriteOneToClear => self.values[index] = before & !(u64::from(value) << shift),
            Kind::Identity(_) | Kind::ReadOnly | Kind::WriteOnly => (),
        }
        Ok(self.effect(Reg::of(index), before, value))
    }

    /// What follows from a write of `value` to a register whose value was `before`.
    fn effect(&mut self, register: Reg, before: u64, value: u32) -> Option<Effect> {
        let was_enabled = before & ENABLE != 0;
        match register {
            RESET if value == RESET_KEY => return Some(Effect::Reset),
            MC_FB_CTRL => return Some(Effect::Aperture(self.is_enabled(MC_FB_CTRL))),
            GART_FLUSH => return Some(Effect::GartFlush),
            CP_CTRL => return Some(Effect::CommandControl { was_enabled }),
            CP_RING_BASE | CP_RING_SIZE | CP_RING_WPTR => return Some(Effect::CommandRing),
            IH_CTRL => return Some(Effect::InterruptControl { was_enabled }),
            // The other bits and the address describe the fault of which bit 0 says that it is.
            GART_FAULT_STATUS if self.get(GART_FAULT_STATUS) & GART_FAULT_VALID == 0 => {
                self.set(GART_FAULT_STATUS, 0);
                self.set(GART_FAULT_ADDR, 0);
            }
            IH_RING_RPTR => {
                let wptr = self.get(IH_RING_WPTR);
                self.set(IH_RING_WPTR, wptr & !IH_OVERFLOW);
            }
            _ => (),
        }
        None
    }

    /// What the card is, whatever it shows.
    pub fn own(&self) -> &Identity {
        &self.own
    }

    /// Whether the card has a feature, whatever it shows.
    pub fn has(&self, feature: u32) -> bool {
        self.own.features & feature != 0
    }

    /// A register's value, for the engines.
    pub fn get(&self, register: Reg) -> u64 {
        self.values[register.index()]
    }

    /// Changes a register's value, for the engines; read-only ones too.
    pub fn set(&mut self, register: Reg, value: u64) {
        self.values[register.index()] = value;
    }

    /// Whether bit 0 of a register is set, which enables things in all that have it.
    pub fn is_enabled(&self, register: Reg) -> bool {
        self.get(register) & ENABLE != 0
    }

    /// Name and value of every register the card has, for people.
    pub fn dump(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let registers = REGISTERS.iter().zip(&self.values);
        let present = registers.filter(|(register, _)| self.is_present(register));
        present.map(|(register, value)| {
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
    use crate::address_space::ADDRESS_BITS;

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

        let mut file = self::file(0xf);
        let command = |was_enabled| Ok(Some(Effect::CommandControl { was_enabled }));
        let interrupt = |was_enabled| Ok(Some(Effect::InterruptControl { was_enabled }));
        assert_eq!(file.write(0x118, 0), Ok(Some(Effect::GartFlush)));
        assert_eq!(file.write(0x310, 1), command(false));
        assert_eq!(file.write(0x310, 0), command(true));
        assert_eq!(file.write(0x308, 0), Ok(Some(Effect::CommandRing)));
        assert_eq!(file.write(0x210, 3), interrupt(false));
        assert_eq!(file.write(0x210, 2), interrupt(true));
    }

    #[test]
    fn engines_that_are_not_there_are_unlisted() {
        let mut file = RegisterFile::new(identity());
        for offset in [
            0x040, 0x130, 0x110, 0x118, 0x128, 0x148, 0x200, 0x210, 0x300, 0x314, 0xfffc,
        ] {
            assert_eq!(file.read(offset), Err(Unlisted), "{offset:#x}");
            assert_eq!(file.write(offset, 1), Err(Unlisted), "{offset:#x}");
        }
    }

    /// The registers of a card that has `features`.
    fn file(features: u32) -> RegisterFile {
        RegisterFile::new(Identity {
            features,
            ..identity()
        })
    }

    #[test]
    fn each_feature_brings_its_registers() {
        let offsets = [0x110, 0x120, 0x140, 0x200, 0x210, 0x300, 0x314];
        let table = [
            (FEATURE_GART, [true, true, false, true, true, false, false]),
            (FEATURE_COPY, [false, false, false, true, true, true, true]),
            (FEATURE_FILL, [false; 7]),
            (FEATURE_ECC, [false, false, true, true, true, false, false]),
            (u32::MAX, [true; 7]),
        ];
        for (features, present) in table {
            let file = file(features);
            for (offset, present) in offsets.into_iter().zip(present) {
                assert_eq!(
                    file.read(offset).is_ok(),
                    present,
                    "{features:#x} {offset:#x}"
                );
            }
        }
        assert!(file(0).dump().all(|(name, _)| name != "CP_CTRL"));
        assert!(file(2).dump().any(|(name, _)| name == "CP_CTRL"));
    }

    #[test]
    fn engine_registers_keep_their_bits() {
        let mut file = file(0xf);
        let table = [
            (0x110, 0xffff_f000),
            (0x114, (1 << (ADDRESS_BITS - 32)) - 1),
            (0x118, 0),
            (0x120, 0),
            (0x128, 0),
            (0x140, 0),
            (0x148, 0),
            (0x200, 0xffff_ffff),
            (0x204, 0xffff_ffff),
            (0x208, 0),
            (0x20c, 0xffff_ffff),
            (0x210, 3),
            (0x300, 0xffff_ffff),
            (0x304, 0xffff_ffff),
            (0x308, 0xffff_ffff),
            (0x30c, 0),
            (0x310, 3),
            (0x314, 0),
        ];
        for (offset, kept) in table {
            file.write(offset, u32::MAX).unwrap();
            assert_eq!(file.read(offset), Ok(kept), "{offset:#x}");
        }
        file.reset();
        for (offset, _) in table {
            assert_eq!(file.read(offset), Ok(0), "{offset:#x}");
        }
    }

    #[test]
    fn faults_are_cleared_as_a_whole() {
        let mut file = file(0xf);
        file.set(GART_FAULT_ADDR, 0x1234_5678_9000);
        file.set(GART_FAULT_STATUS, 7);
        file.write(0x128, 2).unwrap();
        assert_eq!((file.read(0x128), file.read(0x124)), (Ok(5), Ok(0x1234)));
        file.write(0x128, 1).unwrap();
        assert_eq!((file.read(0x128), file.read(0x124)), (Ok(0), Ok(0)));
        file.set(ECC_STATUS, 1);
        file.write(0x148, 0).unwrap();
        assert_eq!(file.read(0x148), Ok(1));
        file.write(0x148, 1).unwrap();
        assert_eq!(file.read(0x148), Ok(0));
    }

    #[test]
    fn a_loss_of_vram_is_told_until_it_was_heard() {
        let mut file = file(0);
        assert_eq!(file.read(0x10c), Ok(1), "power-on");
        file.write(0x10c, 0).unwrap();
        file.reset();
        assert_eq!(file.read(0x10c), Ok(1));
        file.write(0x10c, 1).unwrap();
        assert_eq!(file.read(0x10c), Ok(0));
        file.reset();
        assert_eq!(file.read(0x10c), Ok(0));
    }

    #[test]
    fn writing_rptr_clears_the_overflow() {
        let mut file = file(0xf);
        file.set(IH_RING_WPTR, IH_OVERFLOW | 0x40);
        file.write(0x20c, 0x10).unwrap();
        assert_eq!(file.read(0x208), Ok(0x40));
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
        let without_features = REGISTERS.iter().filter(|r| r.features == 0);
        assert_eq!(dump.len(), without_features.count());
        assert!(dump.contains(&("CHIP_ID", 0x2000)));
        assert!(dump.contains(&("MC_VRAM_CTRL", 1)));
        assert!(dump.contains(&("RESET", 0)));
    }
}
