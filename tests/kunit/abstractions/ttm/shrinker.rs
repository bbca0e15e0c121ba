// SPDX-License-Identifier: GPL-2.0

//! The shrinker: what it counts, what it leaves alone, and in which order it goes. There is no swap, so
//! what it tries gets no further than from GTT to system memory.

use super::*;
use crate::{
    abstractions::ttm::{
        MemType,
        Place,
        Resource, //
    },
    hw::gmc,
    kunit::device::{
        self,
        Buffer,
        Card, //
    }, //
};

const PAGE: u64 = kernel::page::PAGE_SIZE as u64;
const VRAM: Place = Place::anywhere(MemType::Vram);
const GTT: Place = Place::anywhere(MemType::Tt);
const SYSTEM: Place = Place::anywhere(MemType::System);

type DeviceShrinker = Shrinker<device::Driver>;

fn card() -> Result<Card> {
    Card::new(100 * PAGE, 10 * PAGE, gmc::RESERVED_SIZE + 100 * PAGE)
}

fn in_gtt(bo: &Buffer) -> Result<bool> {
    let bo = bo.reserve()?;

    Ok(bo.resource().and_then(Resource::mem_type) == Some(MemType::Tt))
}

/// Tries so many pages of GTT; how many were tried.
fn walk(card: &Card, to_scan: c_ulong) -> c_ulong {
    let mut walk = Walk {
        only_purge: false,
        to_scan,
        scanned: 0,
        freed: 0,
    };

    walk.manager::<device::Driver>(card.gtt.base());
    walk.scanned
}

#[kunit_tests(pddgpu_shrinker)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq, //
    };

    #[test]
    fn counts_the_pages_there_are() -> Result {
        let card = card()?;
        let populated = || card.gtt.base().dev().populated();

        let system = card.create(3, 1, &[SYSTEM])?;
        let vram = card.create(5, 1, &[VRAM])?;
        check_eq!(populated(), 0);

        let gtt = card.create(7, 1, &[GTT])?;
        let other = card.create(11, 1, &[GTT])?;
        check_eq!(populated(), 18);

        system
            .reserve()?
            .validate(&[GTT], &mut OperationCtx::interruptible())?;
        check_eq!(populated(), 21);
        gtt.reserve()?
            .validate(&[SYSTEM], &mut OperationCtx::interruptible())?;
        check_eq!(populated(), 21);

        drop((gtt, vram));
        check_eq!(populated(), 14);
        drop((system, other));
        check_eq!(populated(), 0);
        Ok(())
    }

    #[test]
    fn offers_nothing_that_has_nowhere_to_go() -> Result {
        let card = card()?;
        let shrinker = card.shrinker()?;
        let bo = card.create(10, 1, &[GTT])?;

        for (gfp_mask, count) in [
            (0, 0),
            (bindings::__GFP_FS, EMPTY),
            (bindings::GFP_KERNEL, EMPTY),
        ] {
            let mut sc = bindings::shrink_control {
                gfp_mask,
                nr_to_scan: 100,
                ..Default::default()
            };

            check_eq!(
                DeviceShrinker::count_callback(shrinker.raw.as_ptr(), &mut sc),
                count,
                "{:#x}",
                gfp_mask
            );
            check_eq!(
                DeviceShrinker::scan_callback(shrinker.raw.as_ptr(), &mut sc),
                STOP,
                "{:#x}",
                gfp_mask
            );
            check!(in_gtt(&bo)?, "{:#x}", gfp_mask);
        }
        Ok(())
    }

    #[test]
    fn takes_the_oldest_and_no_more_than_asked() -> Result {
        let card = card()?;
        let all = [
            card.create(10, 1, &[GTT])?,
            card.create(10, 1, &[GTT])?,
            card.create(10, 1, &[GTT])?,
        ];

        // To be used is to be the youngest, to be looked at is not.
        all[0].reserve()?.used();
        drop(all[1].reserve()?);
        check_eq!(walk(&card, 11), 20);
        check!(in_gtt(&all[0])?);
        check!(!in_gtt(&all[1])? && !in_gtt(&all[2])?);
        check_eq!(walk(&card, 11), 10);
        check!(!in_gtt(&all[0])?);
        check_eq!(walk(&card, 11), 0);
        Ok(())
    }

    #[test]
    fn leaves_pinned_and_locked_buffers_alone() -> Result {
        let card = card()?;
        let pinned = card.create(10, 1, &[GTT])?;
        let locked = card.create(10, 1, &[GTT])?;
        let idle = card.create(10, 1, &[GTT])?;

        {
            let pin = pinned.reserve()?;
            // SAFETY: The buffer's resv is held.
            unsafe { bindings::ttm_bo_pin(pin.as_ttm()) };
        }
        {
            let _locked = locked.reserve()?;
            check_eq!(walk(&card, 100), 10);
        }
        check!(in_gtt(&pinned)? && in_gtt(&locked)? && !in_gtt(&idle)?);

        {
            let pin = pinned.reserve()?;
            // SAFETY: As above; it was pinned once.
            unsafe { bindings::ttm_bo_unpin(pin.as_ttm()) };
        }
        check_eq!(walk(&card, 100), 20);
        check!(!in_gtt(&pinned)? && !in_gtt(&locked)?);
        Ok(())
    }

    #[test]
    fn nobody_evicts_pinned_buffers() -> Result {
        let card = card()?;
        let pinned = card.create(40, 1, &[VRAM])?;
        let other = card.create(40, 1, &[VRAM])?;
        let in_vram = |bo: &Buffer| -> Result<bool> {
            let bo = bo.reserve()?;

            Ok(bo.resource().and_then(Resource::mem_type) == Some(MemType::Vram))
        };

        {
            let pin = pinned.reserve()?;
            // SAFETY: The buffer's resv is held.
            unsafe { bindings::ttm_bo_pin(pin.as_ttm()) };
        }
        let failed = card.create(70, 1, &[VRAM]).err();
        let stayed = in_vram(&pinned)?;
        {
            let pin = pinned.reserve()?;
            // SAFETY: As above; it was pinned once.
            unsafe { bindings::ttm_bo_unpin(pin.as_ttm()) };
        }

        check_eq!(failed, Some(ENOSPC));
        check!(stayed && !in_vram(&other)?);
        check!(in_vram(&*card.create(70, 1, &[VRAM])?)? && !in_vram(&pinned)?);
        Ok(())
    }

    #[test]
    fn finds_nothing_where_there_are_no_pages() -> Result {
        let card = card()?;
        let vram = card.create(10, 1, &[VRAM])?;
        let system = card.create(10, 1, &[SYSTEM])?;

        for man in [card.gtt.base(), card.system.base()] {
            let mut walk = Walk {
                only_purge: false,
                to_scan: 100,
                scanned: 0,
                freed: 0,
            };

            walk.manager::<device::Driver>(man);
            check_eq!((walk.scanned, walk.freed), (0, 0));
        }
        check!(!in_gtt(&vram)? && !in_gtt(&system)?);
        check_eq!(card.ttm_usage(MemType::Vram), 10 * PAGE);
        Ok(())
    }

    /// There is no swap for them.
    #[test]
    fn pages_that_stay_were_tried_but_did_not_go() -> Result {
        let card = card()?;
        let bo = card.create(10, 1, &[GTT])?;

        // Once as what has an address, and again as what has none any more.
        for man in [card.gtt.base(), card.system.base()] {
            let mut walk = Walk {
                only_purge: false,
                to_scan: 10,
                scanned: 0,
                freed: 0,
            };

            walk.manager::<device::Driver>(man);
            check_eq!((walk.scanned, walk.freed), (10, 0));
            check_eq!(man.dev().populated(), 10);
        }
        drop(bo);
        check_eq!(card.gtt.base().dev().populated(), 0);
        Ok(())
    }
}
