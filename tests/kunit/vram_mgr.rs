// SPDX-License-Identifier: GPL-2.0

//! The VRAM manager: its five callbacks `alloc`, `free`, `intersects`, `compatible` and `debug`, and
//! reservations.

use kernel::{
    prelude::*,
    sync::aref::ARef, //
};

use super::*;
use crate::{
    gtt_mgr,
    kunit::device::{
        Buffer,
        Card, //
    },
    ttm::{
        MemType,
        Resource, //
    }, //
};

const PAGE: u64 = PAGE_SIZE as u64;
const MIB: u64 = SZ_1M as u64;

/// VRAM, as long as it takes no eviction.
const VRAM: Place = Place::anywhere(MemType::Vram).desired();

fn card(size: u64, visible_size: u64) -> Result<Card> {
    Card::new(size, visible_size, gtt_mgr::RESERVED_SIZE + MIB)
}

/// The pages `pages`, and no others.
fn exactly(pages: Range<u64>) -> Place {
    VRAM.above(pages.start).below(pages.end)
}

/// The ranges of a buffer that is in VRAM.
fn ranges(card: &Card, bo: &Buffer) -> Result<KVec<Range<u64>>> {
    let locked = bo.reserve()?;
    let vram = locked
        .resource()
        .and_then(|res| res.of(&card.vram))
        .ok_or(EINVAL)?;
    let mut all = KVec::new();

    for range in vram.ranges() {
        all.push(range, GFP_KERNEL)?;
    }
    Ok(all)
}

/// The first page of a buffer that is one range, as TTM knows it.
fn start(bo: &Buffer) -> Result<Option<u64>> {
    Ok(bo.reserve()?.resource().ok_or(EINVAL)?.start())
}

/// Bytes of VRAM, and of visible VRAM, that buffers have; all who count must agree.
fn in_use(card: &Card) -> Result<(u64, u64)> {
    let usage = card.vram.usage();
    let used = usage.used - usage.reserved;
    let reserved_visible: u64 = {
        let state = card.vram.state.lock();
        state.reserved().map(|range| card.vram.visible(range)).sum()
    };
    let visible = usage.visible - reserved_visible;

    if card.stats.heap(Heap::Vram).live.get() != used
        || card.stats.heap(Heap::VisibleVram).live.get() != visible
        || card.ttm_usage(MemType::Vram) != used
    {
        pr_err!(
            "manager {} {}, statistics {} {}, TTM {}\n",
            used,
            visible,
            card.stats.heap(Heap::Vram).live.get(),
            card.stats.heap(Heap::VisibleVram).live.get(),
            card.ttm_usage(MemType::Vram)
        );
        return Err(EINVAL);
    }
    Ok((used, visible))
}

/// Buffers of one page in all that is left.
fn fill(card: &Card) -> Result<KVec<ARef<Buffer>>> {
    let mut all = KVec::new();

    loop {
        match card.create(1, 1, &[VRAM]) {
            Ok(bo) => all.push(bo, GFP_KERNEL)?,
            Err(ENOSPC) => return Ok(all),
            Err(err) => return Err(err),
        }
    }
}

#[kunit_tests(pddgpu_vram_mgr)]
mod tests {
    use super::*;
    use crate::kunit::{check, check_eq, Random, WALK};

    #[test]
    fn new_refuses_what_is_no_memory() -> Result {
        for size in [0, 1, PAGE - 1] {
            check_eq!(card(size, 0).err(), Some(EINVAL), "{:#x}", size);
        }
        Ok(())
    }

    #[test]
    fn a_part_is_the_kernels() -> Result {
        for (size, reserved) in [
            (MIB, MIB / 32),
            (32 * MIB, MIB),
            (256 * MIB, 8 * MIB),
            (257 * MIB, 8 * MIB),
            (8 << 30, 8 * MIB),
        ] {
            check_eq!(
                card(size, MIB)?.vram.usable(),
                size - reserved,
                "{:#x}",
                size
            );
        }
        Ok(())
    }

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
                    .and_then(|res| res.of(&card.vram))
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

    #[test]
    fn free_gives_all_back_in_any_order() -> Result {
        let card = card(16 * MIB, 4 * MIB)?;
        let mut random = Random::new(6);

        for round in 0..20 {
            let mut all = KVec::new();

            for _ in 0..40 {
                all.push(card.create(1 + random.below(60), 1, &[VRAM])?, GFP_KERNEL)?;
            }
            while !all.is_empty() {
                let at = random.below(all.len() as u64) as usize;
                let bo: ARef<Buffer> = all.remove(at).map_err(|_| EINVAL)?;
                let (before, size) = (in_use(&card)?.0, bo.size());

                drop(bo);
                check_eq!(in_use(&card)?.0, before - size, "round {}", round);
            }
            check_eq!(in_use(&card)?, (0, 0), "round {}", round);
            // Merged again.
            drop(card.create(card.vram.usable() / PAGE, 1, &[VRAM.contiguous()])?);
        }
        Ok(())
    }

    #[test]
    fn intersects_and_compatible() -> Result {
        let card = card(4 * MIB, MIB)?;
        let bo = card.create(10, 1, &[exactly(100..110)])?;
        let locked = bo.reserve()?;
        let vram = locked
            .resource()
            .and_then(|res| res.of(&card.vram))
            .ok_or(EINVAL)?;

        for (first, end, intersects, compatible) in [
            (0, 0, true, true),
            (0, 1024, true, true),
            (100, 110, true, true),
            (99, 111, true, true),
            (101, 110, true, false),
            (100, 109, true, false),
            (105, 106, true, false),
            (0, 100, false, false),
            (0, 101, true, false),
            (110, 0, false, false),
            (109, 0, true, false),
            (500, 600, false, false),
            (0, 110, true, true),
            (100, 0, true, true),
        ] {
            let place = VRAM.above(first).below(end);

            check_eq!(
                card.vram.intersects(vram, &place),
                intersects,
                "{} to {}",
                first,
                end
            );
            check_eq!(
                card.vram.compatible(vram, &place),
                compatible,
                "{} to {}",
                first,
                end
            );
        }
        Ok(())
    }

    /// A buffer in several pieces is compatible only if all are.
    #[test]
    fn intersects_and_compatible_in_pieces() -> Result {
        let card = card(4 * MIB, MIB)?;
        let hole = card.create(2, 1, &[exactly(102..104)])?;
        let bo = card.create(4, 1, &[exactly(100..106)])?;
        check_eq!(ranges(&card, &bo)?.len(), 2);
        drop(hole);

        let locked = bo.reserve()?;
        let vram = locked
            .resource()
            .and_then(|res| res.of(&card.vram))
            .ok_or(EINVAL)?;
        for (first, end, intersects, compatible) in [
            (100, 106, true, true),
            (100, 102, true, false),
            (104, 106, true, false),
            (102, 104, false, false),
            (101, 105, true, false),
            (0, 0, true, true),
        ] {
            let place = VRAM.above(first).below(end);

            check_eq!(
                card.vram.intersects(vram, &place),
                intersects,
                "{} to {}",
                first,
                end
            );
            check_eq!(
                card.vram.compatible(vram, &place),
                compatible,
                "{} to {}",
                first,
                end
            );
        }
        Ok(())
    }

    #[test]
    fn debug_prints() -> Result {
        let card = card(4 * MIB, MIB)?;
        let _bo = card.create(3, 1, &[exactly(0..3)])?;

        card.vram.reserve_range(0..PAGE)?;
        card.vram.reserve_range(8 * PAGE..10 * PAGE)?;
        card.log(|p| card.vram.print(p));
        Ok(())
    }

    #[test]
    fn bad_reservations_are_refused() -> Result {
        let card = card(4 * MIB, MIB)?;

        for (start, end) in [
            (0, 0),
            (PAGE, PAGE),
            (2 * PAGE, PAGE),
            (1, PAGE),
            (0, PAGE - 1),
            (0, 1),
            (PAGE - 1, PAGE + 1),
            (0, 4 * MIB + PAGE),
            (4 * MIB, 4 * MIB + PAGE),
            (u64::MAX - PAGE + 1, u64::MAX),
        ] {
            check_eq!(
                card.vram.reserve_range(start..end),
                Err(EINVAL),
                "{:#x} to {:#x}",
                start,
                end
            );
        }

        card.vram.reserve_range(10 * PAGE..20 * PAGE)?;
        for (first, end) in [(10, 20), (9, 11), (19, 21), (12, 13), (0, 1024)] {
            check_eq!(
                card.vram.reserve_range(first * PAGE..end * PAGE),
                Err(EEXIST),
                "{} to {}",
                first,
                end
            );
        }
        card.vram.reserve_range(9 * PAGE..10 * PAGE)?;
        card.vram.reserve_range(20 * PAGE..21 * PAGE)?;
        card.vram.reserve_range(4 * MIB - PAGE..4 * MIB)?;
        check_eq!(card.vram.usage().reserved, 13 * PAGE);
        check_eq!(in_use(&card)?, (0, 0));
        Ok(())
    }

    #[test]
    fn reserved_pages_are_never_given_to_buffers() -> Result {
        let card = card(MIB, MIB / 2)?;

        for page in (0..256).step_by(3) {
            card.vram.reserve_range(page * PAGE..(page + 1) * PAGE)?;
        }
        for page in 0..256 {
            check_eq!(
                card.vram.query_page_status(page * PAGE + 5),
                (page % 3 == 0).then_some(PageStatus::Reserved),
                "page {}",
                page
            );
        }
        let all = fill(&card)?;
        for bo in &all {
            let range = ranges(&card, bo)?.first().cloned().ok_or(EINVAL)?;
            check!(range.start / PAGE % 3 != 0, "{:?}", range);
        }
        check_eq!(all.len(), 256 - 86);
        Ok(())
    }

    /// Two buffers and a reservation over both of them, let go and made in every order.
    #[test]
    fn a_reservation_waits_for_the_last_buffer() -> Result {
        for order in [[0, 1], [1, 0]] {
            for gone_before in 0..=2 {
                let card = card(MIB, MIB / 2)?;
                let mut buffers = [
                    Some(card.create(3, 1, &[exactly(10..13)])?),
                    Some(card.create(3, 1, &[exactly(13..16)])?),
                ];
                let mut gone = 0;
                let mut drop_next = |gone: &mut usize| {
                    buffers[order[*gone]] = None;
                    *gone += 1;
                };

                while gone < gone_before {
                    drop_next(&mut gone);
                }
                card.vram.reserve_range(11 * PAGE..15 * PAGE)?;
                while gone < 2 {
                    check_eq!(
                        card.vram.query_page_status(11 * PAGE),
                        Some(PageStatus::Pending),
                        "{:?}, {} before",
                        order,
                        gone_before
                    );
                    check_eq!(card.vram.usage().reserved, 0);
                    drop_next(&mut gone);
                }
                check_eq!(
                    card.vram.query_page_status(14 * PAGE),
                    Some(PageStatus::Reserved),
                    "{:?}, {} before",
                    order,
                    gone_before
                );
                check_eq!(card.vram.usage().reserved, 4 * PAGE);
                check_eq!(card.vram.usage().visible, 4 * PAGE);
                check_eq!(card.vram.query_page_status(10 * PAGE), None);
                check_eq!(card.vram.query_page_status(15 * PAGE), None);
                check_eq!(card.create(1, 1, &[exactly(12..13)]).err(), Some(ENOSPC));
                check_eq!(in_use(&card)?, (0, 0));
            }
        }
        Ok(())
    }

    /// Against a map of pages: nothing is handed out twice, and every count is right at every step.
    #[test]
    fn random_walk() -> Result {
        const PAGES: u64 = 320;
        const VISIBLE: u64 = 100;
        let card = card(PAGES * PAGE, VISIBLE * PAGE)?;
        let mut taken = KVec::from_elem(false, PAGES as usize, GFP_KERNEL)?;
        let mut buffers = KVec::<ARef<Buffer>>::with_capacity(64, GFP_KERNEL)?;
        let mut random = Random::new(7);
        let (mut used, mut visible) = (0, 0);

        for step in 0..WALK {
            if buffers.len() == 64 || (!buffers.is_empty() && random.below(5) < 2) {
                let at = random.below(buffers.len() as u64) as usize;
                let bo = buffers.remove(at).map_err(|_| EINVAL)?;

                for range in ranges(&card, &bo)?.iter() {
                    for page in range.start / PAGE..range.end / PAGE {
                        taken[page as usize] = false;
                        used -= 1;
                        visible -= u64::from(page < VISIBLE);
                    }
                }
            } else {
                let pages = 1 + random.below(12);
                let alignment = 1u32 << random.below(4);
                let mut place = VRAM;

                if random.below(4) == 0 {
                    place = place.contiguous();
                }
                if random.below(2) == 0 {
                    place = place.topdown();
                }
                match random.below(6) {
                    0 => place = place.below(VISIBLE),
                    1 => place = place.above(random.below(PAGES)),
                    2 => {
                        let first = random.below(PAGES);
                        place = place.above(first).below(first + random.below(70));
                    }
                    _ => (),
                }

                match card.create(pages, alignment, &[place]) {
                    Err(err) => check_eq!(err, ENOSPC, "step {}", step),
                    Ok(bo) => {
                        let wanted = place.range(PAGES);
                        let ranges = ranges(&card, &bo)?;

                        for range in ranges.iter() {
                            check!(
                                wanted.start * PAGE <= range.start
                                    && range.end <= wanted.end * PAGE,
                                "step {}",
                                step
                            );
                            for page in range.start / PAGE..range.end / PAGE {
                                check!(!taken[page as usize], "step {} page {}", step, page);
                                taken[page as usize] = true;
                                used += 1;
                                visible += u64::from(page < VISIBLE);
                            }
                        }
                        check_eq!(
                            ranges[0].start / PAGE % u64::from(alignment),
                            0,
                            "step {}",
                            step
                        );
                        check!(
                            !place.is_contiguous() || start(&bo)?.is_some(),
                            "step {}",
                            step
                        );
                        buffers.push_within_capacity(bo).map_err(|_| EINVAL)?;
                    }
                }
            }
            check_eq!(
                in_use(&card)?,
                (used * PAGE, visible * PAGE),
                "step {}",
                step
            );
        }
        drop(buffers);
        check_eq!(in_use(&card)?, (0, 0));
        Ok(())
    }
}
