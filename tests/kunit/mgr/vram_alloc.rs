// SPDX-License-Identifier: GPL-2.0

//! The VRAM manager's `alloc`: how much, where, and how it counts.

use super::*;
use crate::abstractions::{
    dma::fence::Fence,
    ttm::OperationCtx, //
};

#[kunit_tests(pddgpu_vram_alloc)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq, //
    };

    #[test]
    fn alloc_stops_at_what_is_usable() -> Result {
        for size in [MIB, 3 * MIB, 4 * MIB] {
            let card = card(size, size / 2)?;
            let all = fill(&card)?;

            check_eq!(all.len() as u64, card.vram.usable() / PAGE, "{:#x}", size);
            check_eq!(in_use(&card)?.0, card.vram.usable(), "{:#x}", size);
            drop(all);
            check_eq!(in_use(&card)?, (0, 0), "{:#x}", size);

            let pages = card.vram.usable() / PAGE;
            check_eq!(
                card.create(pages + 1, 1, &[VRAM]).err(),
                Some(ENOSPC),
                "{:#x}",
                size
            );
            drop(card.create(pages, 1, &[VRAM])?);
            check_eq!(in_use(&card)?, (0, 0), "{:#x}", size);
        }
        Ok(())
    }

    #[test]
    fn alloc_takes_what_was_asked_for_and_no_more() -> Result {
        let card = card(64 * MIB, 16 * MIB)?;

        for pages in [
            1, 2, 3, 5, 7, 8, 255, 256, 257, 511, 512, 513, 1024, 1025, 4000,
        ] {
            for place in [
                VRAM,
                VRAM.topdown(),
                VRAM.contiguous(),
                VRAM.contiguous().topdown(),
            ] {
                let bo = card.create(pages, 1, &[place])?;

                check_eq!(in_use(&card)?.0, pages * PAGE, "{} pages", pages);
                check_eq!(
                    ranges(&card, &bo)?
                        .iter()
                        .map(|range| range.end - range.start)
                        .sum::<u64>(),
                    pages * PAGE,
                    "{} pages",
                    pages
                );
                drop(bo);
                check_eq!(in_use(&card)?, (0, 0), "{} pages", pages);
            }
        }
        Ok(())
    }

    #[test]
    fn alloc_aligns() -> Result {
        let card = card(64 * MIB, 16 * MIB)?;
        let _odd = card.create(1, 1, &[VRAM])?;
        let _odd_end = card.create(1, 1, &[VRAM.topdown()])?;
        let before = in_use(&card)?.0;

        for order in 0..=8 {
            let alignment = 1u32 << order;

            for pages in [1, 2, 3, 5, 15, 16, 17, 100, 255, 256, 257, 600, 1000] {
                for place in [VRAM, VRAM.topdown(), VRAM.contiguous(), VRAM.below(4096)] {
                    let bo = card.create(pages, alignment, &[place])?;
                    let first = ranges(&card, &bo)?.first().ok_or(EINVAL)?.start;

                    check_eq!(
                        first % (u64::from(alignment) * PAGE),
                        0,
                        "{} pages by {} at {:#x}",
                        pages,
                        alignment,
                        first
                    );
                    check_eq!(
                        in_use(&card)?.0 - before,
                        pages * PAGE,
                        "{} pages by {}",
                        pages,
                        alignment
                    );
                }
            }
        }
        Ok(())
    }

    #[test]
    fn alloc_leaves_the_aperture_to_who_needs_it() -> Result {
        let visible = VRAM.below(16 * MIB / PAGE);
        let card = card(64 * MIB, 16 * MIB)?;

        for pages in [1, 8, 512, 1024] {
            let low = card.create(pages, 1, &[visible])?;
            let high = card.create(pages, 1, &[VRAM.topdown()])?;
            let high = ranges(&card, &high)?;

            check!(
                high.iter().all(|range| range.start >= 16 * MIB),
                "{} pages",
                pages
            );
            check!(
                ranges(&card, &low)?
                    .iter()
                    .all(|range| range.end <= 16 * MIB),
                "{} pages",
                pages
            );
        }
        Ok(())
    }

    #[test]
    fn alloc_keeps_to_the_range() -> Result {
        let card = card(4 * MIB, MIB)?;

        for (first, end, pages, good) in [
            (0, 1, 1, true),
            (0, 1, 2, false),
            (5, 6, 1, true),
            (5, 8, 3, true),
            (5, 8, 4, false),
            (3, 1000, 900, true),
            (1000, 0, 24, true),
            (1000, 0, 25, false),
            (1023, 1024, 1, true),
            (1024, 0, 1, false),
            (1024, 2000, 1, false),
            (10, 10, 1, false),
            (0, 100_000, 500, true),
        ] {
            let place = VRAM.above(first).below(end);

            match card.create(pages, 1, &[place]) {
                Err(err) => check!(!good && err == ENOSPC, "{} to {} for {}", first, end, pages),
                Ok(bo) => {
                    let wanted = place.range(1024);

                    check!(good, "{} to {} for {}", first, end, pages);
                    for range in ranges(&card, &bo)?.iter() {
                        check!(
                            wanted.start * PAGE <= range.start && range.end <= wanted.end * PAGE,
                            "{:?} in {:?}",
                            range,
                            wanted
                        );
                    }
                }
            }
            check_eq!(in_use(&card)?, (0, 0), "{} to {} for {}", first, end, pages);
        }
        Ok(())
    }

    #[test]
    fn alloc_counts_what_the_cpu_can_reach() -> Result {
        // The aperture's end, the buffer's first page and pages, all in pages.
        for (visible, first, pages, expected) in [
            (256, 0, 10, 10),
            (256, 246, 10, 10),
            (256, 247, 10, 9),
            (256, 255, 10, 1),
            (256, 256, 10, 0),
            (256, 1000, 10, 0),
            (256, 0, 512, 256),
            (0, 0, 10, 0),
            (1024, 1000, 24, 24),
            (1, 0, 3, 1),
        ] {
            let card = card(4 * MIB, visible * PAGE)?;
            let bo = card.create(pages, 1, &[exactly(first..first + pages)])?;

            check_eq!(
                in_use(&card)?,
                (pages * PAGE, expected * PAGE),
                "{} pages at {} of {}",
                pages,
                first,
                visible
            );
            check_eq!(
                bo.reserve()?
                    .resource()
                    .and_then(|res| card.vram.get(res))
                    .map(VramResource::visible),
                Some(expected * PAGE)
            );
        }
        Ok(())
    }

    /// Every other page free.
    #[test]
    fn alloc_in_fragments() -> Result {
        let card = card(4 * MIB, MIB)?;
        let mut kept = KVec::new();

        for page in (0..900).step_by(2) {
            kept.push(card.create(1, 1, &[exactly(page..page + 1)])?, GFP_KERNEL)?;
        }
        let rest = card.create(24, 1, &[exactly(1000..1024)])?;
        let more = card.create(50, 1, &[exactly(900..950)])?;

        check_eq!(
            card.create(2, 1, &[exactly(0..900).contiguous()]).err(),
            Some(ENOSPC)
        );
        let bo = card.create(100, 1, &[VRAM.below(900)])?;
        check_eq!(start(&bo)?, None);
        check_eq!(ranges(&card, &bo)?.len(), 100);
        drop(bo);
        // No piece of it can be aligned.
        check_eq!(card.create(2, 2, &[exactly(0..900)]).err(), Some(ENOSPC));

        let whole = card.create(32, 1, &[VRAM.contiguous()])?;
        check_eq!(start(&whole)?, Some(960));
        drop((whole, rest, more, kept));
        check_eq!(in_use(&card)?, (0, 0));
        Ok(())
    }

    /// In a range the allocator looks for the next power of two only; the manager looks further.
    #[test]
    fn alloc_contiguous_in_a_range() -> Result {
        let card = card(64 * MIB, 16 * MIB)?;
        let visible = VRAM.below(16 * MIB / PAGE).contiguous();

        for mib in 1..=16 {
            let bo = card.create(mib * MIB / PAGE, 1, &[visible])?;
            check!(start(&bo)?.is_some(), "{} MiB", mib);
        }

        let _first = card.create(1, 1, &[exactly(0..1)])?;
        for mib in [1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 14] {
            let bo = card.create(mib * MIB / PAGE, 1, &[visible])?;
            let start = start(&bo)?.ok_or(EINVAL)?;

            check!(
                start > 0 && start * PAGE + mib * MIB <= 16 * MIB,
                "{} MiB",
                mib
            );
        }
        check_eq!(
            card.create(16 * MIB / PAGE, 1, &[visible]).err(),
            Some(ENOSPC)
        );
        Ok(())
    }

    #[test]
    fn alloc_goes_on_to_the_next_place() -> Result {
        let card = card(4 * MIB, MIB)?;
        let _first = card.create(256, 1, &[exactly(0..256)])?;

        let bo = card.create(1, 1, &[VRAM.below(256), exactly(700..701)])?;
        check_eq!(start(&bo)?, Some(700));
        let bo = card.create(1, 1, &[VRAM.below(256), Place::anywhere(MemType::System)])?;
        check_eq!(
            bo.reserve()?.resource().and_then(Resource::mem_type),
            Some(MemType::System)
        );
        check_eq!(card.create(1, 1, &[VRAM.below(256)]).err(), Some(ENOSPC));
        Ok(())
    }

    #[test]
    fn alloc_evicts_where_it_may() -> Result {
        let card = card(4 * MIB, MIB)?;
        let first = card.create(256, 1, &[exactly(0..256)])?;
        let other = card.create(256, 1, &[exactly(256..512)])?;

        let bo = card.create(256, 1, &[Place::anywhere(MemType::Vram).below(256)])?;
        check_eq!(start(&bo)?, Some(0));
        check_eq!(
            first.reserve()?.resource().and_then(Resource::mem_type),
            Some(MemType::Tt)
        );
        // What does not intersect stays.
        check_eq!(start(&other)?, Some(256));
        check_eq!(in_use(&card)?, (2 * MIB, MIB));
        Ok(())
    }

    /// Bytes of a buffer in VRAM that were not zero when it got them.
    fn dirty(card: &Card, bo: &Buffer) -> Result<u64> {
        let locked = bo.reserve()?;
        let vram = locked
            .resource()
            .and_then(|res| card.vram.get(res))
            .ok_or(EINVAL)?;

        Ok(vram.dirty().map(|range| range.end - range.start).sum())
    }

    /// Has the pages `pages` free, and zero, and nothing else of what is free.
    fn wipe(card: &Card, pages: Range<u64>) -> Result {
        let end = card.vram.size / PAGE;
        let mut rest = KVec::new();

        for pages in [0..pages.start, pages.end..end] {
            // Buffers may not have all.
            for start in pages.clone().step_by(32) {
                let pages = start..pages.end.min(start + 32);
                if let Ok(bo) = card.create(pages.end - pages.start, 1, &[exactly(pages)]) {
                    rest.push(bo, GFP_KERNEL)?;
                }
            }
        }
        card.vram.wipe(|_| Ok(Fence::stub()))?;
        card.vram.wiped();
        Ok(())
    }

    #[test]
    fn memory_is_dirty_until_it_is_wiped() -> Result {
        let card = card(4 * MIB, MIB)?;

        // What the last owner of all memory left, and what its next owner gets.
        for (wiped, expected) in [(false, 992), (false, 992), (true, 0), (false, 992)] {
            if wiped {
                while card.vram.wiped().is_some() {
                    card.vram.wipe(|_| Ok(Fence::stub()))?;
                }
            }
            let bo = card.create(992, 1, &[exactly(0..992)])?;

            check_eq!(dirty(&card, &bo)?, expected * PAGE, "{:?}", wiped);
        }
        Ok(())
    }

    #[test]
    fn new_buffers_take_zero_memory_first() -> Result {
        let card = card(4 * MIB, MIB)?;

        wipe(&card, 104..112)?;
        let bo = card.create(8, 1, &[VRAM])?;
        check_eq!(start(&bo)?, Some(104));
        check_eq!(dirty(&card, &bo)?, 0);
        let next = card.create(8, 1, &[VRAM])?;
        check_eq!(dirty(&card, &next)?, 8 * PAGE);
        Ok(())
    }

    /// What is copied overwrites it, but a card may say too early that it has.
    #[test]
    fn moved_buffers_take_zero_memory_first() -> Result {
        let card = card(4 * MIB, MIB)?;
        let moved = card.create(8, 1, &[Place::anywhere(MemType::Tt)])?;

        wipe(&card, 104..112)?;
        moved
            .reserve()?
            .validate(&[VRAM], &mut OperationCtx::interruptible())?;
        check_eq!(start(&moved)?, Some(104));
        check_eq!(dirty(&card, &moved)?, 0);
        Ok(())
    }

    #[test]
    fn alloc_would_rather_wipe_than_take_of_the_aperture() -> Result {
        let card = card(4 * MIB, MIB)?;

        wipe(&card, 8..16)?;
        // What buffers may not have all of was free then, too.
        let _rest = card.create(32, 1, &[exactly(976..1008)])?;
        let high = card.create(8, 1, &[VRAM.topdown()])?;
        check!(start(&high)? >= Some(256));
        check_eq!(dirty(&card, &high)?, 8 * PAGE);
        check_eq!(in_use(&card)?, (40 * PAGE, 0));
        let low = card.create(8, 1, &[VRAM])?;
        check_eq!(start(&low)?, Some(8));
        check_eq!(dirty(&card, &low)?, 0);
        Ok(())
    }

    /// That it never can is no reason to fail where there is another place.
    #[test]
    fn alloc_has_no_room_for_what_it_cannot_align() -> Result {
        let card = card(4 * MIB, MIB)?;

        for alignment in [2048, 1 << 20, 1 << 31] {
            check_eq!(
                card.create(1, alignment, &[VRAM]).err(),
                Some(ENOSPC),
                "by {}",
                alignment
            );
            let bo = card.create(1, alignment, &[VRAM, Place::anywhere(MemType::System)])?;
            check_eq!(
                bo.reserve()?.resource().and_then(Resource::mem_type),
                Some(MemType::System),
                "by {}",
                alignment
            );
        }
        Ok(())
    }
}
