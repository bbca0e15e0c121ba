// SPDX-License-Identifier: GPL-2.0

//! Blocks that are joined, divided, given back unused, and taken to be zeroed.

use super::*;

#[kunit_tests(pddgpu_buddy_blocks)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq, //
    };

    /// Three blocks that are free in between, each of two pages.
    fn three(mm: &mut Buddy) -> Result<[Blocks; 3]> {
        let mut one = |start: u64| {
            mm.alloc(
                &AllocMode::Range(start..start + 2 * CHUNK),
                2 * CHUNK,
                CHUNK,
                AllocFlags::default(),
            )
        };

        Ok([one(0)?, one(8 * CHUNK)?, one(16 * CHUNK)?])
    }

    #[test]
    fn blocks_are_joined_in_their_order() -> Result {
        let mut mm = Buddy::new(MIB)?;
        let [first, second, third] = three(&mut mm)?;
        let mut all = third;

        all.append(first);
        all.append(second);
        let starts = [16, 0, 8].map(|page| page * CHUNK);
        check!(all.iter().map(|range| range.start).eq(starts));
        check_eq!(all.size(), 6 * CHUNK);
        check!(all
            .iter_from(3 * CHUNK)
            .map(|range| range.start)
            .eq([CHUNK, 8 * CHUNK]));
        mm.free(all, false);
        check_eq!(mm.avail(), MIB);
        Ok(())
    }

    #[test]
    fn blocks_are_divided_at_an_address() -> Result {
        for (border, low) in [(0, 0), (1, 1), (8, 1), (9, 2), (16, 2), (17, 3), (256, 3)] {
            let mut mm = Buddy::new(MIB)?;
            let [first, mut all, third] = three(&mut mm)?;

            all.append(third);
            all.append(first);
            let parts = all.split(border * CHUNK);
            let count = |part: &Option<Blocks>| part.iter().flat_map(Blocks::iter).count();
            check_eq!(parts.each_ref().map(count), [low, 3 - low], "{}", border);
            for part in parts.into_iter().flatten() {
                mm.free(part, false);
            }
            check_eq!(mm.avail(), MIB, "{}", border);
        }
        Ok(())
    }

    #[test]
    fn what_nobody_used_stays_zero() -> Result {
        let mut mm = Buddy::new(MIB)?;
        check_eq!(mm.dirty_avail(), MIB);
        let [first, second, third] = three(&mut mm)?;
        let rest = mm.alloc(&AllocMode::Simple, mm.avail(), CHUNK, AllocFlags::default())?;

        mm.free(first, true);
        mm.free(second, false);
        check_eq!(mm.dirty_avail(), 2 * CHUNK);
        let both = mm.alloc(&AllocMode::Simple, 4 * CHUNK, CHUNK, AllocFlags::default())?;
        check_eq!(mm.dirty_avail(), 0);
        mm.undo(both);
        check_eq!((mm.avail(), mm.dirty_avail()), (4 * CHUNK, 2 * CHUNK));
        mm.free(third, false);
        mm.free(rest, false);
        Ok(())
    }

    #[test]
    fn only_what_is_dirty_is_taken_to_be_zeroed() -> Result {
        for (most, count, expected) in [
            (MIB, 100, 4),
            (4 * CHUNK, 100, 4),
            (3 * CHUNK, 100, 3),
            (3 * CHUNK + 1, 100, 3),
            (CHUNK, 100, 1),
            (MIB, 1, 2),
            (CHUNK - 1, 100, 0),
            (MIB, 0, 0),
        ] {
            let mut mm = Buddy::new(MIB)?;
            let [first, second, third] = three(&mut mm)?;
            let rest = mm.alloc(&AllocMode::Simple, mm.avail(), CHUNK, AllocFlags::default())?;

            mm.free(rest, true);
            mm.free(first, false);
            mm.free(second, true);
            mm.free(third, false);
            let taken = mm.alloc_dirty(most, count);
            let size = taken.as_ref().map_or(0, Blocks::size);
            check_eq!(size, expected * CHUNK, "{:#x} in {}", most, count);
            check_eq!(mm.dirty_avail(), (4 - expected) * CHUNK, "{:#x}", most);
            if let Some(taken) = taken {
                check_eq!(taken.clean().count(), 0, "{:#x} in {}", most, count);
                mm.free(taken, true);
            }
        }
        Ok(())
    }
}
