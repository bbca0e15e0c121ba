// SPDX-License-Identifier: GPL-2.0

//! The card's address space: which cards contradict themselves.

use kernel::{
    faux,
    prelude::*, //
};

use super::*;

const PAGE: u64 = PAGE_SIZE as u64;
const MIB: u64 = SZ_1M as u64;

#[kunit_tests(pddgpu_gmc)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq, //
    };

    #[test]
    fn sizes() -> Result {
        let dev = faux::Registration::new(c"pddgpu-kunit", None)?;
        let dev: &Device = dev.as_ref().as_ref();

        for (size, min, max, good) in [
            (0, 1, MIB, false),
            (0, 0, MIB, true),
            (PAGE, 1, MIB, true),
            (PAGE - 1, 1, MIB, false),
            (PAGE + 1, 1, MIB, false),
            (MIB, 1, MIB, true),
            (MIB + PAGE, 1, MIB, false),
            (MIB, MIB, MIB, true),
            (MIB, MIB + 1, 2 * MIB, false),
            (u64::MAX, 1, u64::MAX, false),
            (u64::MAX - PAGE + 1, 1, u64::MAX, true),
        ] {
            let result = check_size(dev, "test", size, min, max);

            check_eq!(
                result,
                if good { Ok(()) } else { Err(ENODEV) },
                "{:#x} of {:#x} to {:#x}",
                size,
                min,
                max
            );
        }
        Ok(())
    }

    #[test]
    fn windows() -> Result {
        let dev = faux::Registration::new(c"pddgpu-kunit", None)?;
        let dev: &Device = dev.as_ref().as_ref();

        for (first, last, size, good) in [
            (0, MIB - 1, MIB, true),
            (MIB, 2 * MIB - 1, MIB, true),
            (PAGE, PAGE + MIB - 1, MIB, true),
            (ADDRESS_SPACE - MIB, ADDRESS_SPACE - 1, MIB, true),
            // An end that is one too far, or too near, for the size.
            (0, MIB, MIB, false),
            (0, MIB - 2, MIB, false),
            // A start that is no page's.
            (1, MIB, MIB, false),
            (PAGE / 2, PAGE / 2 + MIB - 1, MIB, false),
            // Beyond the address space.
            (
                ADDRESS_SPACE - MIB + PAGE,
                ADDRESS_SPACE + PAGE - 1,
                MIB,
                false,
            ),
            (ADDRESS_SPACE, ADDRESS_SPACE + MIB - 1, MIB, false),
            (0, u64::MAX, 0, false),
            (u64::MAX - PAGE + 1, u64::MAX, PAGE, false),
            // Backwards.
            (MIB, 0, MIB, false),
            (MIB, MIB - 1, 0, false),
            // What a card that is gone reads.
            (u64::MAX, u64::MAX, u64::MAX, false),
        ] {
            let expected = if good {
                Ok(first..last + 1)
            } else {
                Err(ENODEV)
            };

            check_eq!(
                window(dev, "test", first..last, size),
                expected,
                "{:#x} to {:#x} for {:#x}",
                first,
                last,
                size
            );
        }
        Ok(())
    }

    fn card(features: u32, visible_size: u64, gtt_size: u64) -> Gmc {
        Gmc {
            chip: Chip::Pdd2000,
            revision: 0x10,
            features,
            vram: 1 << 40..(1 << 40) + 1024 * MIB,
            visible_size,
            gtt: 1 << 32..(1 << 32) + gtt_size,
        }
    }

    /// What the driver has of VRAM: an entry of 8 bytes for each page of GTT, rings of 64 and 16 KiB, and
    /// a page.
    #[test]
    fn reserved_vrams() -> Result {
        for (features, visible, gtt, bytes) in [
            (0x7, 256 * MIB, 1024 * MIB, Some(2 * MIB + 84 * 1024)),
            (0xf, 256 * MIB, 4096 * MIB, Some(8 * MIB + 84 * 1024)),
            (0x7, 16 * MIB, 32 * MIB, Some(64 * 1024 + 84 * 1024)),
            (0x7, 16 * MIB, 5 * MIB, Some(12 * 1024 + 84 * 1024)),
            // A part of the engines is no use.
            (0x0, 256 * MIB, 1024 * MIB, None),
            (0x3, 256 * MIB, 1024 * MIB, None),
            (0x5, 256 * MIB, 1024 * MIB, None),
            (0x6, 256 * MIB, 1024 * MIB, None),
            (0x8, 256 * MIB, 1024 * MIB, None),
            // The table would take up what the CPU can reach.
            (0x7, 16 * MIB, 4096 * MIB, None),
        ] {
            let reserved_vram = card(features, visible, gtt).reserved_vram();

            check_eq!(
                reserved_vram.as_ref().map(ReservedVram::size),
                bytes,
                "{:#x}, {:#x}, {:#x}",
                features,
                visible,
                gtt
            );
            if let Some(reserved_vram) = reserved_vram {
                let parts = [
                    &reserved_vram.gart,
                    &reserved_vram.commands,
                    &reserved_vram.interrupts,
                    &reserved_vram.fence,
                ];
                let mut end = 0;

                for part in parts {
                    check_eq!(part.start, end);
                    check_eq!(part.start % PAGE, 0);
                    end = part.end;
                }
                check_eq!(
                    reserved_vram.gart.end - reserved_vram.gart.start,
                    (gtt / PAGE * 8).next_multiple_of(PAGE)
                );
            }
        }
        Ok(())
    }

    #[test]
    fn a_reserved_vram_is_at_most_half_of_what_the_cpu_can_reach() -> Result {
        const GTT: u64 = 32 * MIB;
        let size = ReservedVram::new(GTT).size();

        for (visible, good) in [
            (0, false),
            (size, false),
            (2 * size - PAGE, false),
            (2 * size - 1, false),
            (2 * size, true),
            (2 * size + PAGE, true),
        ] {
            check_eq!(
                card(0x7, visible, GTT).reserved_vram().is_some(),
                good,
                "{:#x} of {:#x}",
                size,
                visible
            );
        }
        Ok(())
    }

    /// The card takes offsets modulo their sizes, and places of whole pages.
    #[test]
    fn rings_are_powers_of_two_wherever_the_table_ends() -> Result {
        for pages in [1, 511, 512, 513, 1 << 10, (1 << 20) - 1, 1 << 20] {
            let reserved_vram = ReservedVram::new(pages * PAGE);

            for ring in [&reserved_vram.commands, &reserved_vram.interrupts] {
                check!((ring.end - ring.start).is_power_of_two(), "{} pages", pages);
                check_eq!(ring.start % PAGE, 0, "{} pages", pages);
            }
            check!(reserved_vram.gart.end >= pages * 8, "{} pages", pages);
        }
        Ok(())
    }
}
