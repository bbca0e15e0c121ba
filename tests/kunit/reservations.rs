// SPDX-License-Identifier: GPL-2.0

//! Reservations of VRAM: refused, at once, or pending.

use super::*;

#[kunit_tests(pddgpu_reservations)]
mod tests {
    use super::*;
    use crate::kunit::{check, check_eq};

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
}
