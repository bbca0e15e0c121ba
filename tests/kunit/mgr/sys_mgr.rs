// SPDX-License-Identifier: GPL-2.0

//! The manager of the CPU domain: its five callbacks `alloc`, `free`, `intersects`, `compatible` and
//! `debug`.

use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

use crate::{
    abstractions::{
        drm::gem::Ref,
        ttm::{
            MemType,
            OperationCtx,
            Place, //
        }, //
    },
    hw::gmc,
    kunit::device::{
        Buffer,
        Card, //
    }, //
};

use super::*;

const PAGE: u64 = PAGE_SIZE as u64;
const SYSTEM: Place = Place::anywhere(MemType::System);

fn card() -> Result<Card> {
    Card::new(100 * PAGE, 10 * PAGE, gmc::RESERVED_SIZE + 100 * PAGE)
}

/// Pages that buffers have, as TTM and the statistics say, which must agree.
fn in_use(card: &Card) -> Result<u64> {
    let bytes = card.stats.heap(Heap::Cpu).live.get();

    if card.ttm_usage(MemType::System) != bytes {
        return Err(EINVAL);
    }
    Ok(bytes / PAGE)
}

#[kunit_tests(pddgpu_sys_mgr)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq,
        Random, //
    };

    #[test]
    fn alloc_counts_the_bytes() -> Result {
        let card = card()?;
        let mut sum = 0;
        let mut all = KVec::new();

        // More than the card's memories together.
        for pages in [1, 2, 99, 1000] {
            all.push(card.create(pages, 1, &[SYSTEM])?, GFP_KERNEL)?;
            sum += pages;
            check_eq!(in_use(&card)?, sum, "{} pages", pages);
        }
        drop(all);
        check_eq!(in_use(&card)?, 0);
        Ok(())
    }

    #[test]
    fn alloc_gives_no_address() -> Result {
        let card = card()?;

        for alignment in [1, 2, 512] {
            let bo = card.create(3, alignment, &[SYSTEM])?;
            let start = bo.reserve()?.resource().ok_or(EINVAL)?.start();

            check_eq!(start, None, "by {}", alignment);
        }
        Ok(())
    }

    #[test]
    fn alloc_takes_nothing_of_the_cards() -> Result {
        let card = card()?;
        let _bo = card.create(50, 1, &[SYSTEM])?;

        for mem_type in [MemType::Vram, MemType::Tt] {
            check_eq!(card.ttm_usage(mem_type), 0, "{:?}", mem_type);
        }
        for heap in [Heap::Vram, Heap::VisibleVram, Heap::Gtt] {
            check_eq!(card.stats.heap(heap).live.get(), 0, "{}", heap.name());
        }
        Ok(())
    }

    #[test]
    fn free_gives_all_back_in_any_order() -> Result {
        let card = card()?;
        let mut random = Random::new(11);
        let mut all = KVec::new();

        for _ in 0..40 {
            all.push(card.create(1 + random.below(25), 1, &[SYSTEM])?, GFP_KERNEL)?;
        }
        while !all.is_empty() {
            let at = random.below(all.len() as u64) as usize;
            let bo: Ref<'_, Buffer> = all.remove(at).map_err(|_| EINVAL)?;
            let (before, size) = (in_use(&card)?, bo.size() / PAGE);

            drop(bo);
            check_eq!(in_use(&card)?, before - size);
        }
        check_eq!(in_use(&card)?, 0);
        Ok(())
    }

    /// A buffer without an address is in everybody's way, and good wherever it is wanted.
    #[test]
    fn intersects_and_compatible_with_every_place() -> Result {
        let card = card()?;
        let bo = card.create(10, 1, &[SYSTEM])?;
        let locked = bo.reserve()?;
        let resource = locked
            .resource()
            .and_then(|res| card.system.get(res))
            .ok_or(EINVAL)?;

        check_eq!(resource.size, 10 * PAGE);
        for place in [
            SYSTEM,
            SYSTEM.below(1),
            SYSTEM.above(1000),
            SYSTEM.temporary(),
            SYSTEM.contiguous(),
        ] {
            check!(
                card.system.intersects(resource, &place),
                "{:?}",
                place.range(5)
            );
            check!(
                card.system.compatible(resource, &place),
                "{:?}",
                place.range(5)
            );
        }
        Ok(())
    }

    /// What is there already stays, also for a place with a range.
    #[test]
    fn a_buffer_is_not_moved_to_where_it_is() -> Result {
        let card = card()?;
        let bo = card.create(10, 1, &[SYSTEM])?;

        for place in [SYSTEM, SYSTEM.below(1)] {
            let before = card.stats.heap(Heap::Cpu).allocated.get();

            bo.reserve()?
                .validate(&[place], &mut OperationCtx::interruptible())?;
            check_eq!(card.stats.heap(Heap::Cpu).allocated.get(), before);
        }
        Ok(())
    }

    #[test]
    fn debug_prints() -> Result {
        let card = card()?;
        let _bo = card.create(3, 1, &[SYSTEM])?;

        card.log(|p| card.system.print(p));
        Ok(())
    }
}
