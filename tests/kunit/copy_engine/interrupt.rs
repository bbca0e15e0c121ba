// SPDX-License-Identifier: GPL-2.0

//! What the interrupt thread makes of entries that a card may post, true or not.

use kernel::prelude::*;

use super::*;

#[kunit_tests(pddgpu_interrupt)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq, //
    };

    const OWN: u64 = 16 << 10;
    const VRAM: u64 = 64 << 20;

    #[test]
    fn errors_outside_of_vram_retire_nothing() -> Result {
        for offset in [VRAM, VRAM + 1, u64::MAX - 4095, u64::MAX] {
            let mut found = Found::default();

            check!(found.add(Interrupt::Ecc(offset), OWN, VRAM));
            check_eq!(found.wild, 1, "{:#x}", offset);
            check!(found.lost().is_empty());
            check!(!found.own);
        }
        Ok(())
    }

    #[test]
    fn errors_in_the_own_vram_are_told_apart() -> Result {
        for (offset, own) in [(0, true), (OWN - 1, true), (OWN, false), (VRAM - 1, false)] {
            let mut found = Found::default();

            check!(found.add(Interrupt::Ecc(offset), OWN, VRAM));
            check_eq!(found.own, own, "{:#x}", offset);
            check_eq!(found.lost().len(), usize::from(!own), "{:#x}", offset);
        }
        Ok(())
    }

    /// What finds no room stays in the ring, and the newest error has a place of its own.
    #[test]
    fn no_error_is_dropped() -> Result {
        let mut found = Found::default();
        let mut taken = 0;

        while found.add(Interrupt::Ecc(OWN + taken * 4096), OWN, VRAM) {
            taken += 1;
        }
        check_eq!(found.lost().len() as u64, taken);
        check!(taken > 1);

        found.add_lost(VRAM - 4096, OWN, VRAM);
        check_eq!(found.lost().last().copied(), Some(VRAM - 4096));
        Ok(())
    }

    #[test]
    fn faults_are_counted_and_the_first_is_kept() -> Result {
        let mut found = Found::default();

        for address in [7u64, 8, 9] {
            check!(found.add(Interrupt::GartFault(address), OWN, VRAM));
        }
        check_eq!((found.faults, found.fault), (3, 7));
        Ok(())
    }
}
