// SPDX-License-Identifier: GPL-2.0

//! The VRAM manager: its callbacks `free`, `intersects`, `compatible` and `debug`, and all of it in a
//! random walk.

mod reservations;
mod vram_alloc;
mod vram_parts;
mod wiping;

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
const MIB: u64 = SZ_1M as u64;

/// VRAM, as long as it takes no eviction.
const VRAM: Place = Place::anywhere(MemType::Vram).desired();

fn card(size: u64, visible_size: u64) -> Result<Card> {
    Card::new(size, visible_size, gmc::RESERVED_SIZE + MIB)
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
        .and_then(|res| card.vram.get(res))
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
    let reserved_visible = card.vram.memory.lock().reservations.total().visible;
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
fn fill(card: &Card) -> Result<KVec<Ref<'_, Buffer>>> {
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
                let bo: Ref<'_, Buffer> = all.remove(at).map_err(|_| EINVAL)?;
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
            .and_then(|res| card.vram.get(res))
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
            .and_then(|res| card.vram.get(res))
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
}

/// Pages of the walk's VRAM, and how many of them are visible.
const PAGES: u64 = 320;
const VISIBLE: u64 = 100;

fn random_place(random: &mut Random) -> Place {
    let mut place = VRAM;

    if random.below(4) == 0 {
        place = place.contiguous();
    }
    if random.below(2) == 0 {
        place = place.topdown();
    }
    match random.below(6) {
        0 => place.below(VISIBLE),
        1 => place.above(random.below(PAGES)),
        2 => {
            let first = random.below(PAGES);
            place.above(first).below(first + random.below(70))
        }
        _ => place,
    }
}

/// Marks the pages of some ranges as taken or not. Each was the opposite before. Returns how many
/// there are, and how many of them are visible.
fn mark(taken: &mut [bool], ranges: &[Range<u64>], now: bool) -> Result<(u64, u64)> {
    let (mut all, mut visible) = (0, 0);

    for page in ranges
        .iter()
        .flat_map(|range| range.start / PAGE..range.end / PAGE)
    {
        check_eq!(taken[page as usize], !now, "page {}", page);
        taken[page as usize] = now;
        all += 1;
        visible += u64::from(page < VISIBLE);
    }
    Ok((all, visible))
}

/// Against a map of pages: nothing is handed out twice, and every count is right at every step.
fn random_walk() -> Result {
    let card = card(PAGES * PAGE, VISIBLE * PAGE)?;
    let mut taken = KVec::from_elem(false, PAGES as usize, GFP_KERNEL)?;
    let mut buffers = KVec::<Ref<'_, Buffer>>::with_capacity(64, GFP_KERNEL)?;
    let mut random = Random::new(7);
    let (mut used, mut visible) = (0, 0);

    for step in 0..WALK {
        if buffers.len() == 64 || (!buffers.is_empty() && random.below(5) < 2) {
            let at = random.below(buffers.len() as u64) as usize;
            let bo = buffers.remove(at).map_err(|_| EINVAL)?;

            let freed = mark(&mut taken, &ranges(&card, &bo)?, false)?;
            used -= freed.0;
            visible -= freed.1;
        } else {
            let pages = 1 + random.below(12);
            let alignment = 1u32 << random.below(4);
            let place = random_place(&mut random);

            match card.create(pages, alignment, &[place]) {
                Err(err) => check_eq!(err, ENOSPC, "step {}", step),
                Ok(bo) => {
                    let wanted = place.range(PAGES);
                    let ranges = ranges(&card, &bo)?;

                    for range in ranges.iter() {
                        check!(
                            wanted.start * PAGE <= range.start && range.end <= wanted.end * PAGE,
                            "step {}",
                            step
                        );
                    }
                    let got = mark(&mut taken, &ranges, true)?;
                    used += got.0;
                    visible += got.1;
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

walk_suite!(pddgpu_vram_mgr_walk);
