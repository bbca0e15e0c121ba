// SPDX-License-Identifier: GPL-2.0

//! Registers: where they are, and what their bits mean, as `docs/hardware.md` has it.

use kernel::{
    io::register::Register,
    prelude::*, //
};

use super::*;

#[kunit_tests(pddgpu_regs)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq, //
    };

    #[test]
    fn offsets() -> Result {
        for (name, offset, expected) in [
            ("CHIP_ID", CHIP_ID::OFFSET, 0x00),
            ("CHIP_REV", CHIP_REV::OFFSET, 0x04),
            ("RESET", RESET::OFFSET, 0x08),
            ("FEATURES", FEATURES::OFFSET, 0x0c),
            ("VRAM_SIZE", VRAM_SIZE::OFFSET, 0x10),
            ("GTT_SIZE", GTT_SIZE::OFFSET, 0x18),
            ("VRAM_START", VRAM_START::OFFSET, 0x20),
            ("VRAM_END", VRAM_END::OFFSET, 0x28),
            ("GTT_START", GTT_START::OFFSET, 0x30),
            ("GTT_END", GTT_END::OFFSET, 0x38),
            ("MC_VRAM_CTRL", MC_VRAM_CTRL::OFFSET, 0x100),
            ("MC_GTT_CTRL", MC_GTT_CTRL::OFFSET, 0x104),
            ("MC_FB_CTRL", MC_FB_CTRL::OFFSET, 0x108),
            ("GART_TABLE_BASE", GART_TABLE_BASE::OFFSET, 0x110),
            ("GART_FLUSH", GART_FLUSH::OFFSET, 0x118),
            ("GART_FAULT_ADDR", GART_FAULT_ADDR::OFFSET, 0x120),
            ("GART_FAULT_STATUS", GART_FAULT_STATUS::OFFSET, 0x128),
            ("ECC_STATUS", ECC_STATUS::OFFSET, 0x148),
            ("IH_RING_BASE", IH_RING_BASE::OFFSET, 0x200),
            ("IH_RING_SIZE", IH_RING_SIZE::OFFSET, 0x204),
            ("IH_RING_WPTR", IH_RING_WPTR::OFFSET, 0x208),
            ("IH_RING_RPTR", IH_RING_RPTR::OFFSET, 0x20c),
            ("IH_CTRL", IH_CTRL::OFFSET, 0x210),
            ("CP_RING_BASE", CP_RING_BASE::OFFSET, 0x300),
            ("CP_RING_SIZE", CP_RING_SIZE::OFFSET, 0x304),
            ("CP_RING_WPTR", CP_RING_WPTR::OFFSET, 0x308),
            ("CP_RING_RPTR", CP_RING_RPTR::OFFSET, 0x30c),
            ("CP_CTRL", CP_CTRL::OFFSET, 0x310),
            ("CP_STATUS", CP_STATUS::OFFSET, 0x314),
        ] {
            check_eq!(offset, expected, "{}", name);
            check!(offset < SZ_64K, "{}", name);
        }
        Ok(())
    }

    #[test]
    fn revision_is_two_digits() -> Result {
        for raw in 0..=0xffu32 {
            for junk in [0, 0xffff_ff00] {
                let reg = CHIP_REV::from_raw(raw | junk);

                check_eq!(reg.major().get(), raw >> 4, "{:#x}", raw | junk);
                check_eq!(reg.minor().get(), raw & 0xf, "{:#x}", raw | junk);
                check_eq!(reg.into_raw(), raw | junk);
            }
        }
        Ok(())
    }

    #[test]
    fn enabling_is_bit_0() -> Result {
        check_eq!(MC_VRAM_CTRL::zeroed().with_enable(true).into_raw(), 1);
        check_eq!(MC_GTT_CTRL::zeroed().with_enable(true).into_raw(), 1);
        check_eq!(MC_FB_CTRL::zeroed().with_enable(true).into_raw(), 1);
        for raw in [0, 1, 2, 3, 0x8000_0000, u32::MAX] {
            check_eq!(
                MC_VRAM_CTRL::from_raw(raw).enable(),
                raw & 1 == 1,
                "{:#x}",
                raw
            );
            check_eq!(
                MC_GTT_CTRL::from_raw(raw).enable(),
                raw & 1 == 1,
                "{:#x}",
                raw
            );
            check_eq!(
                MC_FB_CTRL::from_raw(raw).with_enable(false).into_raw(),
                raw & !1,
                "{:#x}",
                raw
            );
        }
        Ok(())
    }

    #[test]
    fn wide_registers_keep_all_bits() -> Result {
        for raw in [0, 1, 0xffff_ffff, 1 << 32, 1 << 63, u64::MAX] {
            check_eq!(VRAM_SIZE::from_raw(raw).into_raw(), raw);
            check_eq!(VRAM_SIZE::from_raw(raw).bytes().get(), raw);
            check_eq!(VRAM_END::from_raw(raw).address().get(), raw);
            check_eq!(GTT_START::from_raw(raw).address().get(), raw);
        }
        Ok(())
    }

    #[test]
    fn packets() -> Result {
        for (packet, words) in [
            (
                Packet::Copy {
                    from: 0x100_0000_1000,
                    to: 0x100_2000,
                    bytes: 0x3000,
                },
                [0x001, 0x100_0000_1000, 0x100_2000, 0x3000],
            ),
            (
                Packet::Fill {
                    value: 0xffff_fffe,
                    to: 0x100_0000_4000,
                    bytes: 1 << 32,
                },
                [0x002, 0xffff_fffe, 0x100_0000_4000, 1 << 32],
            ),
            (
                Packet::Fence {
                    value: u64::MAX,
                    to: 0x100_0000_5008,
                },
                [0x103, u64::MAX, 0x100_0000_5008, 0],
            ),
        ] {
            check_eq!(packet.encode(), words, "{:?}", packet);
            check_eq!(size_of_val(&packet.encode()), PACKET_SIZE as usize);
        }
        Ok(())
    }

    #[test]
    fn interrupts() -> Result {
        for (source, interrupt) in [
            (0, Interrupt::Unknown),
            (1, Interrupt::Fence),
            (2, Interrupt::CommandError(7)),
            (3, Interrupt::GartFault(7)),
            (4, Interrupt::Ecc(7)),
            (5, Interrupt::Unknown),
            // The second dword is reserved.
            (0xffff_ffff_0000_0001, Interrupt::Fence),
        ] {
            check_eq!(Interrupt::decode([source, 7]), interrupt, "{:#x}", source);
        }
        Ok(())
    }

    #[test]
    fn chips() -> Result {
        for (chip, id, name) in [
            (Chip::Pdd1000, 0x1000, "PDD1000"),
            (Chip::Pdd2000, 0x2000, "PDD2000"),
            (Chip::Pdd3000, 0x3000, "PDD3000"),
        ] {
            check_eq!(chip.id(), id);
            check_eq!(chip.name(), name);
            check_eq!(Chip::try_from(CHIP_ID::from_raw(id)), Ok(chip));
            for other in [id - 1, id + 1, id << 16, id | 0x8000_0000] {
                check_eq!(
                    Chip::try_from(CHIP_ID::from_raw(other)),
                    Err(ENODEV),
                    "{:#x}",
                    other
                );
            }
        }
        // What a card that is gone reads.
        for id in [0, u32::MAX] {
            check_eq!(
                Chip::try_from(CHIP_ID::from_raw(id)),
                Err(ENODEV),
                "{:#x}",
                id
            );
        }
        Ok(())
    }

    #[test]
    fn what_is_not_mentioned_is_turned_off() -> Result {
        for (name, raw, expected) in [
            (
                "VRAM without ECC",
                MC_VRAM_CTRL::zeroed().with_enable(true).into_raw(),
                1,
            ),
            (
                "ECC alone",
                MC_VRAM_CTRL::zeroed().with_ecc(true).into_raw(),
                2,
            ),
            (
                "command processor",
                CP_CTRL::zeroed().with_enable(true).into_raw(),
                1,
            ),
            ("its halt", CP_CTRL::zeroed().with_halt(true).into_raw(), 2),
            (
                "interrupts",
                IH_CTRL::zeroed().with_enable(true).into_raw(),
                1,
            ),
            ("messages", IH_CTRL::zeroed().with_msi(true).into_raw(), 2),
        ] {
            check_eq!(raw, expected, "{}", name);
        }
        Ok(())
    }

    #[test]
    fn the_command_processor_is_busy_or_at_an_error() -> Result {
        for (raw, busy, error) in [
            (0, false, false),
            (1, true, false),
            (2, false, true),
            (3, true, true),
            (!3, false, false),
            // What a card that is gone reads.
            (u32::MAX, true, true),
        ] {
            let status = CP_STATUS::from_raw(raw);

            check_eq!((status.busy(), status.error()), (busy, error), "{:#x}", raw);
        }
        Ok(())
    }

    /// What is written as 1 is forgotten, and nothing else is.
    #[test]
    fn faults_and_errors_are_forgotten_by_one_bit() -> Result {
        check_eq!(GART_FAULT_STATUS::zeroed().with_valid(true).into_raw(), 1);
        check_eq!(ECC_STATUS::zeroed().with_pending(true).into_raw(), 1);

        for (raw, valid, write, outside) in [
            (0, false, false, false),
            (1, true, false, false),
            (3, true, true, false),
            (5, true, false, true),
            (!7, false, false, false),
        ] {
            let status = GART_FAULT_STATUS::from_raw(raw);

            check_eq!(
                (status.valid(), status.write(), status.outside()),
                (valid, write, outside),
                "{:#x}",
                raw
            );
        }
        Ok(())
    }

    #[test]
    fn an_overflow_is_no_part_of_the_offset() -> Result {
        for (raw, offset, overflow) in [
            (0, 0, false),
            (0x3ff0, 0x3ff0, false),
            (0x8000_0000, 0, true),
            (0x8000_3ff0, 0x3ff0, true),
            (0x7fff_ffff, 0x7fff_ffff, false),
            (u32::MAX, 0x7fff_ffff, true),
        ] {
            let wptr = IH_RING_WPTR::from_raw(raw);

            check_eq!(u32::from(wptr.offset()), offset, "{:#x}", raw);
            check_eq!(wptr.overflow(), overflow, "{:#x}", raw);
        }
        Ok(())
    }

    #[test]
    fn a_gart_entry_has_its_flags_in_the_lowest_bits() -> Result {
        check_eq!([GART_VALID, GART_WRITABLE, GART_SNOOPED], [1, 2, 4]);
        Ok(())
    }

    #[test]
    fn a_reset_wants_its_word() -> Result {
        check_eq!(
            RESET::from_raw(RESET_MAGIC).into_raw().to_be_bytes(),
            *b"RST!"
        );
        Ok(())
    }
}
