// SPDX-License-Identifier: GPL-2.0

//! The GTT manager: its five callbacks `alloc`, `free`, `intersects`, `compatible` and `debug`, and
//! buffers that only pass through.

use kernel::prelude::*;

use crate::{
    abstractions::{
        drm::gem::Ref,
        ttm::{
            MemType,
            Resource, //
        }, //
    },
    hw::gmc,
    kunit::{
        check,
        check_eq,
        device::{
            Buffer,
            Card, //
        },
        walk_suite,
        Random,
        WALK, //
    }, //
};

use super::*;

const PAGE: u64 = PAGE_SIZE as u64;

/// The GTT window, as long as it takes no eviction.
const GTT: Place = Place::anywhere(MemType::Tt).desired();

/// A card whose GTT window has so many pages for buffers.
fn card(pages: u64) -> Result<Card> {
    Card::new(1 << 20, 1 << 20, gmc::RESERVED_SIZE + pages * PAGE)
}

/// The pages `pages` after the transfer windows, and no others.
fn exactly(pages: Range<u64>) -> Place {
    GTT.above(RESERVED_PAGES + pages.start)
        .below(RESERVED_PAGES + pages.end)
}

/// The pages of a buffer, counted after the transfer windows; [`None`] if it has no address.
fn pages(card: &Card, bo: &Buffer) -> Result<Option<Range<u64>>> {
    let locked = bo.reserve()?;
    let res = locked.resource().ok_or(EINVAL)?;
    let range = card.gtt.get(res).ok_or(EINVAL)?.node.range();

    // What TTM knows is what the manager knows.
    if res.start() != range.as_ref().map(|range| range.start) {
        return Err(EINVAL);
    }
    Ok(range.map(|range| range.start - RESERVED_PAGES..range.end - RESERVED_PAGES))
}

/// Pages that buffers have, as TTM and the statistics say, which must agree.
fn in_use(card: &Card) -> Result<u64> {
    let bytes = card.stats.heap(Heap::Gtt).live.get();

    if card.ttm_usage(MemType::Tt) != bytes {
        return Err(EINVAL);
    }
    Ok(bytes / PAGE)
}

/// Pages that have addresses.
fn addresses(card: &Card) -> u64 {
    let mut sum = 0;

    card.gtt.recover(|range| sum += range.end - range.start);
    sum
}

#[kunit_tests(pddgpu_gtt_mgr)]
mod tests {
    use super::*;

    #[test]
    fn new_refuses_a_window_for_transfers_only() -> Result {
        for size in [gmc::RESERVED_SIZE, gmc::RESERVED_SIZE + PAGE - 1] {
            check_eq!(
                Card::new(1 << 20, 0, size).err(),
                Some(EINVAL),
                "{:#x}",
                size
            );
        }
        for pages in [1, 2, 1000, 1 << 18] {
            check_eq!(card(pages)?.gtt.usable(), pages * PAGE, "{} pages", pages);
        }
        Ok(())
    }

    #[test]
    fn alloc_begins_after_the_transfer_windows() -> Result {
        for size in [1, 2, 100] {
            let card = card(size)?;
            let bo = card.create(size, 1, &[GTT])?;

            check_eq!(pages(&card, &bo)?, Some(0..size));
            check_eq!(start_of_first(&card), Some(RESERVED_PAGES));
            check_eq!(card.create(1, 1, &[GTT]).err(), Some(ENOSPC));
            check_eq!(in_use(&card)?, size);
            drop(bo);
            check_eq!(in_use(&card)?, 0);
            check_eq!(addresses(&card), 0);
        }
        Ok(())
    }

    fn start_of_first(card: &Card) -> Option<u64> {
        let mut first = None;

        card.gtt.recover(|range| {
            first.get_or_insert(range.start);
        });
        first
    }

    #[test]
    fn alloc_aligns() -> Result {
        let card = card(4096)?;
        let _odd = card.create(1, 1, &[GTT])?;

        for order in 0..=8 {
            let alignment = 1u32 << order;

            for size in [1, 2, 3, 5, 100, 257] {
                let bo = card.create(size, alignment, &[GTT])?;
                let range = pages(&card, &bo)?.ok_or(EINVAL)?;

                check_eq!(
                    (RESERVED_PAGES + range.start) % u64::from(alignment),
                    0,
                    "{} by {}",
                    size,
                    alignment
                );
                check_eq!(range.end - range.start, size);
            }
        }
        Ok(())
    }

    #[test]
    fn alloc_keeps_to_the_range() -> Result {
        let card = card(100)?;

        for (range, size, good) in [
            (0..1, 1, true),
            (0..1, 2, false),
            (99..100, 1, true),
            (10..20, 10, true),
            (10..20, 11, false),
            (0..100, 100, true),
            (100..200, 1, false),
            (50..1000, 50, true),
            (50..1000, 51, false),
            (10..10, 1, false),
        ] {
            let place = exactly(range.clone());

            match card.create(size, 1, &[place]) {
                Err(err) => check!(!good && err == ENOSPC, "{} in {:?}", size, range),
                Ok(bo) => {
                    let got = pages(&card, &bo)?.ok_or(EINVAL)?;

                    check!(good, "{} in {:?}", size, range);
                    check!(
                        range.start <= got.start && got.end <= range.end,
                        "{:?}",
                        range
                    );
                }
            }
            check_eq!(in_use(&card)?, 0);
        }
        Ok(())
    }

    /// Holes of 10, 3, 5 and, at the end, 100 pages.
    #[test]
    fn alloc_takes_the_best_fit() -> Result {
        for (size, expected) in [
            (1, 20..21),
            (3, 20..23),
            (4, 33..37),
            (5, 33..38),
            (6, 0..6),
            (10, 0..10),
            (11, 48..59),
            (100, 48..148),
        ] {
            let card = card(148)?;
            let _kept = [
                card.create(10, 1, &[exactly(10..20)])?,
                card.create(10, 1, &[exactly(23..33)])?,
                card.create(10, 1, &[exactly(38..48)])?,
            ];
            let bo = card.create(size, 1, &[GTT])?;

            check_eq!(pages(&card, &bo)?, Some(expected), "{} pages", size);
        }
        Ok(())
    }

    #[test]
    fn alloc_without_an_address() -> Result {
        let card = card(10)?;
        let passing = card.create(10, 1, &[GTT.temporary()])?;

        check_eq!(pages(&card, &passing)?, None);
        check_eq!(addresses(&card), 0);
        // More than the window could ever hold.
        let large = card.create(1000, 256, &[GTT.temporary()])?;
        check_eq!(pages(&card, &large)?, None);
        check_eq!(in_use(&card)?, 1010);
        drop(large);
        drop(passing);
        check_eq!(in_use(&card)?, 0);

        let full = card.create(10, 1, &[GTT])?;
        let passing = card.create(1, 1, &[GTT.temporary()])?;
        check_eq!(pages(&card, &passing)?, None);
        drop(full);
        drop(passing);
        check_eq!(in_use(&card)?, 0);
        Ok(())
    }

    /// What passes through takes no address, but pages.
    #[test]
    fn alloc_beside_what_passes_through() -> Result {
        let card = card(10)?;
        let passing = card.create(4, 1, &[GTT.temporary()])?;
        let bo = card.create(6, 1, &[GTT])?;

        check_eq!(pages(&card, &bo)?, Some(0..6));
        check_eq!(card.create(1, 1, &[GTT]).err(), Some(ENOSPC));
        drop(passing);
        let second = card.create(4, 1, &[GTT])?;
        check_eq!(pages(&card, &second)?, Some(6..10));
        Ok(())
    }

    #[test]
    fn a_buffer_that_passed_through_gets_an_address() -> Result {
        let card = card(10)?;
        let bo = card.create(4, 1, &[GTT.temporary()])?;

        check_eq!(pages(&card, &bo)?, None);
        bo.reserve()?.validate(
            &[GTT],
            &mut crate::abstractions::ttm::OperationCtx::interruptible(),
        )?;
        check_eq!(pages(&card, &bo)?, Some(0..4));
        check_eq!(in_use(&card)?, 4);
        Ok(())
    }

    #[test]
    fn alloc_evicts_where_it_may() -> Result {
        let card = card(10)?;
        let first = card.create(6, 1, &[GTT])?;
        let second = card.create(6, 1, &[Place::anywhere(MemType::Tt)])?;

        check_eq!(
            first.reserve()?.resource().and_then(Resource::mem_type),
            Some(MemType::System)
        );
        check_eq!(pages(&card, &second)?, Some(0..6));
        Ok(())
    }

    #[test]
    fn free_gives_all_back_in_any_order() -> Result {
        let card = card(1000)?;
        let mut random = Random::new(8);

        for round in 0..20 {
            let mut all = KVec::new();

            for _ in 0..40 {
                all.push(card.create(1 + random.below(25), 1, &[GTT])?, GFP_KERNEL)?;
            }
            while !all.is_empty() {
                let at = random.below(all.len() as u64) as usize;
                let bo: Ref<'_, Buffer> = all.remove(at).map_err(|_| EINVAL)?;
                let (before, size) = (in_use(&card)?, bo.size() / PAGE);

                drop(bo);
                check_eq!(in_use(&card)?, before - size, "round {}", round);
                check_eq!(addresses(&card), before - size, "round {}", round);
            }
            drop(card.create(1000, 1, &[GTT])?);
        }
        Ok(())
    }

    #[test]
    fn intersects_and_compatible() -> Result {
        let card = card(200)?;
        let bo = card.create(10, 1, &[exactly(100..110)])?;
        let locked = bo.reserve()?;
        let gtt = locked
            .resource()
            .and_then(|res| card.gtt.get(res))
            .ok_or(EINVAL)?;

        for (range, intersects, compatible) in [
            (0..200, true, true),
            (100..110, true, true),
            (99..111, true, true),
            (101..110, true, false),
            (100..109, true, false),
            (105..106, true, false),
            (0..100, false, false),
            (0..101, true, false),
            (110..200, false, false),
            (109..200, true, false),
        ] {
            let place = exactly(range.clone());

            check_eq!(card.gtt.intersects(gtt, &place), intersects, "{:?}", range);
            check_eq!(card.gtt.compatible(gtt, &place), compatible, "{:?}", range);
        }
        check!(card.gtt.intersects(gtt, &GTT) && card.gtt.compatible(gtt, &GTT));
        Ok(())
    }

    /// Without an address it is in the way of everybody, and nowhere where it should be.
    #[test]
    fn intersects_and_compatible_without_an_address() -> Result {
        let card = card(200)?;
        let bo = card.create(10, 1, &[GTT.temporary()])?;
        let locked = bo.reserve()?;
        let gtt = locked
            .resource()
            .and_then(|res| card.gtt.get(res))
            .ok_or(EINVAL)?;

        for place in [GTT, exactly(0..1), exactly(0..200)] {
            check!(card.gtt.intersects(gtt, &place));
            check!(!card.gtt.compatible(gtt, &place));
        }
        Ok(())
    }

    #[test]
    fn debug_prints() -> Result {
        let card = card(100)?;
        let _bo = card.create(3, 1, &[GTT])?;
        let _passing = card.create(3, 1, &[GTT.temporary()])?;

        card.log(|p| card.gtt.print(p));
        Ok(())
    }

    #[test]
    fn recover_tells_every_address() -> Result {
        let card = card(100)?;
        let mut all = KVec::new();

        for start in [50, 10, 90, 0] {
            all.push(
                card.create(10, 1, &[exactly(start..start + 10)])?,
                GFP_KERNEL,
            )?;
        }
        let _passing = card.create(10, 1, &[GTT.temporary()])?;

        let mut starts = [0u64, 10, 50, 90].into_iter();
        let mut right = true;
        card.gtt.recover(|range| {
            right &= starts.next() == Some(range.start - RESERVED_PAGES)
                && range.end - range.start == 10;
        });
        check!(right && starts.next().is_none());
        Ok(())
    }
}

/// Against a map of pages: nothing is handed out twice, and every count is right at every step.
fn random_walk() -> Result {
    const PAGES: u64 = 80;
    let card = card(PAGES)?;
    let mut taken = KVec::from_elem(false, PAGES as usize, GFP_KERNEL)?;
    let mut buffers = KVec::<Ref<'_, Buffer>>::with_capacity(64, GFP_KERNEL)?;
    let mut random = Random::new(9);
    let (mut used, mut passing) = (0, 0);

    for step in 0..WALK {
        if buffers.len() == 64 || (!buffers.is_empty() && random.below(5) < 2) {
            let at = random.below(buffers.len() as u64) as usize;
            let bo = buffers.remove(at).map_err(|_| EINVAL)?;

            match pages(&card, &bo)? {
                None => passing -= bo.size() / PAGE,
                Some(range) => {
                    used -= range.end - range.start;
                    taken[range.start as usize..range.end as usize].fill(false);
                }
            }
        } else {
            let size = 1 + random.below(4);
            let alignment = 1u32 << random.below(4);
            let place = match random.below(8) {
                0 => GTT.temporary(),
                1 => exactly(0..1 + random.below(PAGES)),
                2 => exactly(random.below(PAGES)..PAGES),
                _ => GTT,
            };

            match card.create(size, alignment, &[place]) {
                Err(err) => check_eq!(err, ENOSPC, "step {}", step),
                Ok(bo) => {
                    match pages(&card, &bo)? {
                        None => {
                            check!(place.is_temporary(), "step {}", step);
                            passing += size;
                        }
                        Some(range) => {
                            let wanted = place.range(RESERVED_PAGES + PAGES);
                            let slots = &mut taken[range.start as usize..range.end as usize];

                            check!(!place.is_temporary(), "step {}", step);
                            check!(slots.iter().all(|taken| !taken), "step {}", step);
                            check_eq!(slots.len() as u64, size, "step {}", step);
                            check!(
                                wanted.start <= RESERVED_PAGES + range.start
                                    && RESERVED_PAGES + range.end <= wanted.end,
                                "step {}",
                                step
                            );
                            check_eq!(
                                (RESERVED_PAGES + range.start) % u64::from(alignment),
                                0,
                                "step {}",
                                step
                            );
                            slots.fill(true);
                            used += size;
                        }
                    }
                    buffers.push_within_capacity(bo).map_err(|_| EINVAL)?;
                }
            }
        }
        check_eq!(in_use(&card)?, used + passing, "step {}", step);
        check_eq!(addresses(&card), used, "step {}", step);
    }
    drop(buffers);
    check_eq!(in_use(&card)?, 0);
    Ok(())
}

walk_suite!(pddgpu_gtt_mgr_walk);
