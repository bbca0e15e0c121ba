// SPDX-License-Identifier: GPL-2.0

//! Reservations of VRAM: refused, at once, or pending.

use super::*;
use crate::abstractions::ttm::OperationCtx;

#[kunit_tests(pddgpu_reservations)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq, //
    };

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

    #[test]
    fn a_reservation_is_visible_up_to_the_apertures_end() -> Result {
        for (first, end, visible) in [
            (0, 1, 1),
            (250, 256, 6),
            (254, 258, 2),
            (255, 1024, 1),
            (256, 260, 0),
            (1023, 1024, 0),
            (0, 1024, 256),
        ] {
            let card = card(4 * MIB, MIB)?;

            card.vram.reserve_range(first * PAGE..end * PAGE)?;
            let usage = card.vram.usage();
            check_eq!(
                [usage.used, usage.reserved, usage.visible].map(|bytes| bytes / PAGE),
                [end - first, end - first, visible],
                "{} to {}",
                first,
                end
            );
        }
        Ok(())
    }

    #[test]
    fn a_page_is_asked_for_by_any_byte_of_it() -> Result {
        let card = card(4 * MIB, MIB)?;

        card.vram.reserve_range(10 * PAGE..12 * PAGE)?;
        card.vram.reserve_range(4 * MIB - PAGE..4 * MIB)?;
        for (address, reserved) in [
            (0, false),
            (10 * PAGE - 1, false),
            (10 * PAGE, true),
            (12 * PAGE - 1, true),
            (12 * PAGE, false),
            (4 * MIB - PAGE - 1, false),
            (4 * MIB - 1, true),
            (4 * MIB, false),
            (u64::MAX, false),
        ] {
            check_eq!(
                card.vram.query_page_status(address),
                reserved.then_some(PageStatus::Reserved),
                "{:#x}",
                address
            );
        }
        Ok(())
    }

    #[test]
    fn what_is_pending_is_not_reserved_twice() -> Result {
        let card = card(4 * MIB, MIB)?;
        let bo = card.create(4, 1, &[exactly(10..14)])?;

        card.vram.reserve_range(12 * PAGE..16 * PAGE)?;
        for (first, end) in [(12, 16), (15, 17), (11, 13), (13, 14)] {
            check_eq!(
                card.vram.reserve_range(first * PAGE..end * PAGE),
                Err(EEXIST),
                "{} to {}",
                first,
                end
            );
        }
        drop(bo);
        check_eq!(card.vram.usage().reserved, 4 * PAGE);
        Ok(())
    }

    #[test]
    fn one_free_is_enough_for_all_that_waits() -> Result {
        let card = card(4 * MIB, MIB)?;
        let bo = card.create(6, 1, &[exactly(252..258)])?;

        for (first, end) in [(250, 253), (254, 255), (255, 257), (257, 300)] {
            card.vram.reserve_range(first * PAGE..end * PAGE)?;
        }
        check_eq!(card.vram.usage().reserved, 0);
        drop(bo);
        check_eq!(card.vram.usage().reserved, 49 * PAGE);
        check_eq!(card.vram.usage().visible, 5 * PAGE);
        check_eq!(in_use(&card)?, (0, 0));
        Ok(())
    }

    #[test]
    fn a_reservation_waits_for_buffers_that_come_later_too() -> Result {
        let card = card(4 * MIB, MIB)?;
        let first = card.create(1, 1, &[exactly(10..11)])?;
        let status = || card.vram.query_page_status(13 * PAGE);

        card.vram.reserve_range(10 * PAGE..14 * PAGE)?;
        let second = card.create(1, 1, &[exactly(12..13)])?;
        drop(first);
        check_eq!(status(), Some(PageStatus::Pending));
        drop(second);
        check_eq!(status(), Some(PageStatus::Reserved));
        Ok(())
    }

    #[test]
    fn a_buffer_that_moves_away_makes_way() -> Result {
        let card = card(4 * MIB, MIB)?;
        let bo = card.create(4, 1, &[exactly(10..14)])?;
        let mut ctx = OperationCtx::interruptible();

        card.vram.reserve_range(11 * PAGE..12 * PAGE)?;
        bo.reserve()?
            .validate(&[Place::anywhere(MemType::Tt)], &mut ctx)?;
        check_eq!(
            card.vram.query_page_status(11 * PAGE),
            Some(PageStatus::Reserved)
        );
        // There is no way back.
        check_eq!(
            bo.reserve()?.validate(&[exactly(10..14)], &mut ctx),
            Err(ENOSPC)
        );
        check_eq!(in_use(&card)?, (0, 0));
        Ok(())
    }

    #[test]
    fn all_of_vram_can_be_reserved() -> Result {
        let card = card(4 * MIB, MIB)?;

        card.vram.reserve_range(0..4 * MIB)?;
        let usage = card.vram.usage();
        check_eq!(
            [usage.used, usage.reserved, usage.visible],
            [4 * MIB, 4 * MIB, MIB]
        );
        check_eq!(card.create(1, 1, &[VRAM]).err(), Some(ENOSPC));
        let bo = card.create(1, 1, &[VRAM, Place::anywhere(MemType::Tt)])?;
        check_eq!(
            bo.reserve()?.resource().and_then(Resource::mem_type),
            Some(MemType::Tt)
        );
        Ok(())
    }

    /// A manager without a device, on a card whose driver has so many bytes for itself.
    fn manager(card: &Card, size: u64, visible_size: u64, own: u64) -> Result<Pin<KBox<VramMgr>>> {
        KBox::pin_init(
            VramMgr::new(size, visible_size, own, card.stats.clone()),
            GFP_KERNEL,
        )
    }

    #[test]
    fn the_drivers_own_is_reserved_from_the_start() -> Result {
        let card = card(MIB, MIB)?;
        let vram = manager(&card, 4 * MIB, MIB, 16 * PAGE)?;
        let usage = vram.usage();

        check_eq!(
            [usage.used, usage.reserved, usage.visible].map(|bytes| bytes / PAGE),
            [16, 16, 16]
        );
        check_eq!(vram.query_page_status(0), Some(PageStatus::Reserved));
        check_eq!(vram.query_page_status(16 * PAGE), None);
        check_eq!(vram.reserve_range(15 * PAGE..17 * PAGE), Err(EEXIST));
        vram.reserve_range(16 * PAGE..17 * PAGE)?;
        check_eq!(vram.usage().reserved, 17 * PAGE);
        // No buffer has it.
        check_eq!(card.stats.heap(Heap::Vram).live.get(), 0);
        Ok(())
    }

    #[test]
    fn what_is_usable_leaves_out_the_drivers_own() -> Result {
        const RESERVED: u64 = 4 * MIB / 32;
        let card = card(MIB, MIB)?;

        for (visible, own, usable, usable_visible) in [
            (MIB, 0, 4 * MIB - RESERVED, MIB),
            (MIB, PAGE, 4 * MIB - RESERVED, MIB - PAGE),
            (MIB, RESERVED, 4 * MIB - RESERVED, MIB - RESERVED),
            (
                MIB,
                2 * RESERVED,
                4 * MIB - 2 * RESERVED,
                MIB - 2 * RESERVED,
            ),
            (MIB, MIB, 3 * MIB, 0),
            // The CPU can reach all of it.
            (4 * MIB, PAGE, 4 * MIB - RESERVED, 4 * MIB - RESERVED),
            (4 * MIB, MIB, 3 * MIB, 3 * MIB),
        ] {
            let vram = manager(&card, 4 * MIB, visible, own)?;

            check_eq!(
                (vram.usable(), vram.usable_visible()),
                (usable, usable_visible),
                "{:#x} of {:#x}",
                own,
                visible
            );
        }
        Ok(())
    }

    #[test]
    fn a_driver_that_wants_more_than_there_is_is_refused() -> Result {
        let card = card(MIB, MIB)?;

        for own in [MIB + PAGE, 2 * MIB, 1 << 40] {
            check_eq!(
                manager(&card, MIB, MIB, own).err(),
                Some(EINVAL),
                "{:#x}",
                own
            );
        }
        // All of it is not too much.
        check_eq!(manager(&card, MIB, MIB, MIB)?.usage().used, MIB);
        Ok(())
    }
}
