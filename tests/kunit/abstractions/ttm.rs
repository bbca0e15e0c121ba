// SPDX-License-Identifier: GPL-2.0

//! The TTM wrappers: what is dropped, when, and how often; and what a move does to the managers.

use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

use super::*;
use crate::{
    abstractions::drm::gem::{
        Object as _,
        Ref, //
    },
    bindings::raw as bindings,
    hw::gmc,
    kunit::{
        check,
        check_eq,
        device::{
            Buffer,
            Card,
            Payload, //
        },
        walk_suite,
        Random,
        WALK, //
    }, //
};

const PAGE: u64 = PAGE_SIZE as u64;
const VRAM: Place = Place::anywhere(MemType::Vram);
const GTT: Place = Place::anywhere(MemType::Tt);
const SYSTEM: Place = Place::anywhere(MemType::System);

/// A card with so many pages of VRAM and of GTT.
fn card_of(pages: u64) -> Result<Card> {
    Card::new(
        pages * PAGE,
        pages * PAGE / 10,
        gmc::RESERVED_SIZE + pages * PAGE,
    )
}

fn card() -> Result<Card> {
    card_of(1000)
}

fn mem_type(bo: &Buffer) -> Result<Option<MemType>> {
    Ok(bo.reserve()?.resource().and_then(Resource::mem_type))
}

/// Pages in use of VRAM, GTT and the CPU domain.
fn in_use(card: &Card) -> [u64; 3] {
    [MemType::Vram, MemType::Tt, MemType::System].map(|mem_type| card.ttm_usage(mem_type) / PAGE)
}

#[kunit_tests(pddgpu_ttm)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_says_what_it_is() -> Result {
        let card = card()?;

        for pages in [1, 2, 100] {
            for alignment in [0, 1, 2, 16] {
                let bo = card.create(pages, alignment, &[VRAM])?;

                check_eq!(bo.size(), pages * PAGE);
                check_eq!(bo.alignment(), u64::from(alignment.max(1)) * PAGE);
                check_eq!(bo.mmap_offset() % PAGE, 0);
                check!(bo.mmap_offset() != 0);
                bo.wait_until(0)?;
                bo.wait_until(i64::MAX)?;
            }
        }
        Ok(())
    }

    #[test]
    fn mmap_offsets_do_not_overlap() -> Result {
        let card = card()?;
        let mut all = KVec::new();

        for pages in [1, 7, 2, 30, 1, 1] {
            all.push(card.create(pages, 1, &[VRAM])?, GFP_KERNEL)?;
        }
        for (i, bo) in all.iter().enumerate() {
            for other in all.iter().skip(i + 1) {
                check!(
                    bo.mmap_offset() + bo.size() <= other.mmap_offset()
                        || other.mmap_offset() + other.size() <= bo.mmap_offset()
                );
            }
        }
        Ok(())
    }

    #[test]
    fn the_last_reference_drops_the_payload_once() -> Result {
        let card = card()?;

        for place in [VRAM, GTT, GTT.temporary(), SYSTEM] {
            let bo = card.create(10, 1, &[place])?;
            // SAFETY: The card outlives both.
            let (second, third) = unsafe { (Ref::get(&*bo), Ref::get(&*bo)) };

            check_eq!(Payload::alive(), 1);
            drop(bo);
            drop(third);
            check_eq!(Payload::alive(), 1);
            drop(second);
            check_eq!(Payload::alive(), 0);
            check_eq!(in_use(&card), [0, 0, 0]);
        }
        Ok(())
    }

    #[test]
    fn a_failed_creation_leaves_nothing() -> Result {
        let card = card()?;
        let page = PAGE_SIZE;

        for (what, size, places, payload, end, expected) in [
            ("size 0", 0, &[VRAM][..], Ok(()), Ok(()), EINVAL),
            ("odd size", page + 1, &[VRAM], Ok(()), Ok(()), EINVAL),
            ("no payload", page, &[VRAM], Err(EIO), Ok(()), EIO),
            ("bad end", page, &[VRAM], Ok(()), Err(EPERM), EPERM),
            ("bad end in GTT", page, &[GTT], Ok(()), Err(EPERM), EPERM),
            ("bad end in CPU", page, &[SYSTEM], Ok(()), Err(EPERM), EPERM),
            ("no room", 1001 * page, &[VRAM], Ok(()), Ok(()), ENOSPC),
            (
                "no room anywhere",
                1001 * page,
                &[VRAM, GTT],
                Ok(()),
                Ok(()),
                ENOSPC,
            ),
        ] {
            for _ in 0..3 {
                let result =
                    card.create_with(size, 1, places, payload.map(|()| Payload::new()), end);

                check_eq!(result.err(), Some(expected), "{}", what);
                check_eq!(Payload::alive(), 0, "{}", what);
                check_eq!(in_use(&card), [0, 0, 0], "{}", what);
            }
        }
        Ok(())
    }

    #[test]
    fn a_failed_creation_may_have_evicted() -> Result {
        let card = card()?;
        let bo = card.create(600, 1, &[VRAM])?;

        check_eq!(
            card.create_with(600 * PAGE_SIZE, 1, &[VRAM], Ok(Payload::new()), Err(EIO))
                .err(),
            Some(EIO)
        );
        check_eq!(mem_type(&bo)?, Some(MemType::Tt));
        check_eq!(in_use(&card), [0, 600, 0]);
        check_eq!(Payload::alive(), 1);
        Ok(())
    }

    #[test]
    fn the_first_place_with_room_is_taken() -> Result {
        let card = card()?;
        let _vram = card.create(950, 1, &[VRAM])?;
        let _gtt = card.create(950, 1, &[GTT])?;

        for (pages, places, expected) in [
            (10, &[VRAM, GTT, SYSTEM][..], MemType::Vram),
            (10, &[GTT, VRAM, SYSTEM], MemType::Tt),
            (10, &[SYSTEM, VRAM], MemType::System),
            (
                100,
                &[VRAM.desired(), GTT.desired(), SYSTEM],
                MemType::System,
            ),
            (45, &[VRAM.desired(), GTT], MemType::Tt),
        ] {
            let bo = card.create(pages, 1, places)?;

            check_eq!(mem_type(&bo)?, Some(expected), "{} pages", pages);
        }
        Ok(())
    }

    #[test]
    fn a_move_takes_and_gives_back() -> Result {
        let card = card()?;
        let bo = card.create(10, 1, &[VRAM])?;
        let mut ctx = OperationCtx::interruptible();

        for (place, expected) in [
            (VRAM, [10, 0, 0]),
            (GTT, [0, 10, 0]),
            (SYSTEM, [0, 0, 10]),
            (GTT.temporary(), [0, 10, 0]),
            (VRAM.below(50), [10, 0, 0]),
            (SYSTEM, [0, 0, 10]),
            (VRAM.above(900), [10, 0, 0]),
            (VRAM.below(50), [10, 0, 0]),
            (GTT, [0, 10, 0]),
        ] {
            bo.reserve()?.validate(&[place], &mut ctx)?;
            check_eq!(in_use(&card), expected);
            check_eq!(bo.reserve()?.pin_count(), 0);
        }
        Ok(())
    }

    #[test]
    fn a_move_without_room_leaves_the_buffer() -> Result {
        let card = card()?;
        let bo = card.create(10, 1, &[VRAM])?;
        let mut ctx = OperationCtx::interruptible();

        for place in [GTT.below(5), VRAM.above(995), VRAM.below(9)] {
            check_eq!(
                bo.reserve()?.validate(&[place.desired()], &mut ctx),
                Err(ENOSPC)
            );
            check_eq!(mem_type(&bo)?, Some(MemType::Vram));
            check_eq!(in_use(&card), [10, 0, 0]);
        }
        Ok(())
    }

    /// Calls `f` with a buffer pinned.
    fn while_pinned(bo: &Buffer, f: impl FnOnce() -> Result) -> Result {
        {
            let locked = bo.reserve()?;
            // SAFETY: The buffer's resv is held.
            unsafe { bindings::ttm_bo_pin(locked.as_ttm()) };
        }
        let result = f();
        let locked = bo.reserve()?;

        // SAFETY: As above; it was pinned once.
        unsafe { bindings::ttm_bo_unpin(locked.as_ttm()) };
        result
    }

    #[test]
    fn a_pinned_buffer_is_busy_elsewhere() -> Result {
        let card = card()?;
        let bo = card.create(10, 1, &[VRAM])?;
        let validate = |place| {
            bo.reserve()?
                .validate(&[place], &mut OperationCtx::interruptible())
        };

        while_pinned(&bo, || {
            check_eq!(bo.reserve()?.pin_count(), 1);
            for place in [GTT, SYSTEM, GTT.temporary(), GTT.below(1)] {
                check_eq!(validate(place), Err(EBUSY));
                check_eq!(in_use(&card), [10, 0, 0]);
            }
            // It is there.
            check_eq!(validate(VRAM), Ok(()));
            Ok(())
        })?;
        check_eq!(bo.reserve()?.pin_count(), 0);
        check_eq!(validate(GTT), Ok(()));
        check_eq!(in_use(&card), [0, 10, 0]);
        Ok(())
    }

    #[test]
    fn what_others_pin_is_in_nobodys_way() -> Result {
        let card = card()?;

        for place in [VRAM, GTT, SYSTEM] {
            let bo = card.create(10, 1, &[place])?;
            let gem = bo.as_gem();
            let locked = bo.reserve()?;

            // SAFETY: The buffer is alive and its resv held, and it is unpinned once for each pin.
            unsafe {
                let funcs = &*(*gem).funcs;

                for _ in 0..2 {
                    check_eq!(funcs.pin.map(|pin| pin(gem)), Some(0));
                    check_eq!(in_use(&card), [0, 0, 10]);
                }
                check_eq!(locked.pin_count(), 2);
                for _ in 0..2 {
                    funcs.unpin.ok_or(EINVAL)?(gem);
                }
            }
            check_eq!(locked.pin_count(), 0);
        }
        Ok(())
    }

    #[test]
    fn the_least_recently_used_is_evicted() -> Result {
        let card = card_of(100)?;
        let all = [
            card.create(30, 1, &[VRAM])?,
            card.create(30, 1, &[VRAM])?,
            card.create(30, 1, &[VRAM])?,
        ];
        let mut new = KVec::new();

        all[0].reserve()?.used();
        // To look at it is no use.
        drop(all[1].reserve()?);
        for expected in [[true, false, true], [true, false, false]] {
            new.push(card.create(30, 1, &[VRAM])?, GFP_KERNEL)?;

            for (number, (bo, expected)) in all.iter().zip(expected).enumerate() {
                check_eq!(
                    mem_type(bo)? == Some(MemType::Vram),
                    expected,
                    "number {} after {}",
                    number,
                    new.len()
                );
            }
        }
        Ok(())
    }

    #[test]
    fn a_buffer_that_moved_was_used() -> Result {
        let card = card_of(100)?;
        let moved = card.create(40, 1, &[VRAM])?;
        let other = card.create(40, 1, &[VRAM])?;

        for place in [GTT, VRAM] {
            moved
                .reserve()?
                .validate(&[place], &mut OperationCtx::interruptible())?;
        }
        let _new = card.create(40, 1, &[VRAM])?;
        check_eq!(mem_type(&moved)?, Some(MemType::Vram));
        check_eq!(mem_type(&other)?, Some(MemType::Tt));
        Ok(())
    }

    #[test]
    fn what_is_evicted_goes_to_gtt_while_that_has_room() -> Result {
        let card = card_of(100)?;
        let in_gtt = card.create(70, 1, &[GTT])?;
        let first = card.create(30, 1, &[VRAM])?;
        let second = card.create(60, 1, &[VRAM])?;
        let third = card.create(90, 1, &[VRAM])?;

        check_eq!(mem_type(&first)?, Some(MemType::Tt));
        check_eq!(mem_type(&second)?, Some(MemType::System));
        check_eq!(mem_type(&third)?, Some(MemType::Vram));
        // Nobody had to go for those that had to.
        check_eq!(mem_type(&in_gtt)?, Some(MemType::Tt));
        check_eq!(in_use(&card), [90, 100, 60]);
        Ok(())
    }

    #[test]
    fn a_resource_is_of_the_manager_that_gave_it() -> Result {
        let card = card()?;
        let bo = card.create(1, 1, &[VRAM])?;

        for (place, expected) in [
            (VRAM, [true, false, false]),
            (GTT, [false, true, false]),
            (GTT.temporary(), [false, true, false]),
            (SYSTEM, [false, false, true]),
        ] {
            let mut bo = bo.reserve()?;

            bo.validate(&[place], &mut OperationCtx::interruptible())?;
            let res = bo.resource().ok_or(EINVAL)?;
            check_eq!(
                [
                    card.vram.get(res).is_some(),
                    card.gtt.get(res).is_some(),
                    card.system.get(res).is_some()
                ],
                expected
            );
            check_eq!(res.uses_tt(), !expected[0]);
        }
        Ok(())
    }
}

/// Creates, moves and drops with evictions: payloads and pages are those of the buffers there are.
fn random_walk() -> Result {
    let card = card_of(100)?;
    let mut all = KVec::with_capacity(64, GFP_KERNEL)?;
    let mut random = Random::new(10);
    let mut ctx = OperationCtx::interruptible();
    let places = [
        VRAM,
        VRAM.topdown(),
        VRAM.below(10),
        GTT,
        GTT.temporary(),
        SYSTEM,
    ];

    for step in 0..WALK {
        match random.below(10) {
            0..4 if all.len() < 64 => {
                let bo = card.create(
                    1 + random.below(6),
                    1 << random.below(3),
                    &[random.choose(&places), random.choose(&places)],
                )?;
                all.push_within_capacity(bo).map_err(|_| EINVAL)?;
            }
            4..7 if !all.is_empty() => {
                let at = random.below(all.len() as u64) as usize;
                drop(all.remove(at).map_err(|_| EINVAL)?);
            }
            _ if !all.is_empty() => {
                let at = random.below(all.len() as u64) as usize;
                let place = random.choose(&places);
                let before = mem_type(&all[at])?;

                match all[at].reserve()?.validate(&[place], &mut ctx) {
                    Ok(()) => (),
                    // A buffer is in its own way where it lies partly below the tenth page.
                    Err(ENOSPC) if before == Some(MemType::Vram) && place.range(100) == (0..10) => {
                    }
                    Err(err) => check!(false, "step {}: {:?}", step, err),
                }
            }
            _ => (),
        }

        check_eq!(Payload::alive(), all.len() as i32, "step {}", step);
        check_eq!(
            in_use(&card).iter().sum::<u64>(),
            all.iter().map(|bo| bo.size() / PAGE).sum(),
            "step {}",
            step
        );
    }
    Ok(())
}

walk_suite!(pddgpu_ttm_walk);
