// SPDX-License-Identifier: GPL-2.0

//! Buffers that have memory of both parts of VRAM.

use super::*;

#[kunit_tests(pddgpu_vram_parts)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq, //
    };

    /// Memory of both parts for one buffer: all there is outside of the aperture, and what is missing.
    #[test]
    fn alloc_takes_of_both_parts() -> Result {
        for (kept, pages, visible) in [
            (1, 800, 33),
            (100, 800, 132),
            (255, 700, 187),
            (735, 257, 224),
            (767, 200, 199),
        ] {
            for place in [VRAM, VRAM.topdown()] {
                let card = card(4 * MIB, MIB)?;
                let _kept = card.create(kept, 1, &[exactly(1024 - kept..1024)])?;
                let bo = card.create(pages, 1, &[place])?;
                let all = ranges(&card, &bo)?;
                let expected = if place.is_topdown() {
                    visible
                } else {
                    pages.min(256)
                };

                check_eq!(
                    in_use(&card)?,
                    ((kept + pages) * PAGE, expected * PAGE),
                    "{} beside {}",
                    pages,
                    kept
                );
                // The preferred part is the buffer's beginning.
                check_eq!(
                    all.first().is_some_and(|first| first.start >= MIB),
                    place.is_topdown()
                );
                drop(bo);
                check_eq!(in_use(&card)?, (kept * PAGE, 0));
            }
        }
        Ok(())
    }

    #[test]
    fn alloc_contiguous_across_the_apertures_end() -> Result {
        for (first, behind, pages, alignment, start_page) in [
            // What is free begins and ends at these pages; what is wanted; where it is then.
            (0, 1024, 900, 1, Some(124)),
            (10, 1024, 900, 1, Some(124)),
            (100, 1000, 900, 1, Some(100)),
            (101, 1000, 900, 1, None),
            (100, 1000, 880, 16, Some(112)),
            (100, 1000, 896, 16, None),
            (0, 300, 280, 1, Some(20)),
            (0, 300, 280, 64, Some(0)),
            (0, 256, 257, 1, None),
            (0, 300, 600, 1, None),
            (200, 300, 101, 1, None),
        ] {
            let card = card(4 * MIB, MIB)?;

            for pages in [0..first, behind..1024] {
                if !pages.is_empty() {
                    card.vram
                        .reserve_range(pages.start * PAGE..pages.end * PAGE)?;
                }
            }
            let before = in_use(&card)?;
            for place in [VRAM.contiguous(), VRAM.contiguous().topdown()] {
                let bo = card.create(pages, alignment, &[place]);

                match (&bo, start_page) {
                    (Ok(bo), Some(page)) => check_eq!(start(bo)?, Some(page), "{}", pages),
                    (Err(ENOSPC), None) => (),
                    (bo, _) => check!(false, "{} pages: {:?}", pages, bo.as_ref().err()),
                }
                drop(bo);
                check_eq!(in_use(&card)?, before, "{} pages", pages);
            }
        }
        Ok(())
    }
}
