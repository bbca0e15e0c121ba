// SPDX-License-Identifier: GPL-2.0

//! Waits for the work on a buffer.

use kernel::{
    page::PAGE_SIZE,
    sync::Arc,
    time::Msecs, //
};

use super::*;
use crate::{
    abstractions::{
        dma::fence::{
            Allocation,
            Context,
            Pending,
            Timeline, //
        },
        ttm::{
            fences::Usage,
            placement::{
                MemType,
                Place, //
            }, //
        }, //
    },
    hw::gmc,
    kunit::{
        check,
        check_eq,
        device::{
            Buffer,
            Card,
            Payload, //
        }, //
    }, //
};

const VRAM: Place = Place::anywhere(MemType::Vram);

fn card() -> Result<Card> {
    let bytes = 1000 * PAGE_SIZE as u64;

    Card::new(bytes, bytes, gmc::RESERVED_SIZE + bytes)
}

#[kunit_tests(pddgpu_object)]
mod tests {
    use super::*;

    /// Whose work is only to be waited for.
    struct Nobody;

    impl Timeline for Nobody {
        const DRIVER_NAME: &'static CStr = c"pddgpu-kunit";
        const NAME: &'static CStr = c"nobody";

        fn awaited_signalled(&self) {}

        fn set_deadline(&self, _ms: Msecs) {}
    }

    /// Has a buffer worked on until the result is signalled.
    fn work_on(bo: &Buffer) -> Result<Pending<Nobody>> {
        let context = Context::new(Arc::new(Nobody, GFP_KERNEL)?)?;
        let work = Allocation::new()?.publish(context);

        bo.reserve()?
            .reserve_fence()?
            .add(work.fence(), Usage::Kernel);
        Ok(work)
    }

    #[test]
    fn a_buffer_is_idle_when_all_work_on_it_has_ended() -> Result {
        let card = card()?;
        let bo = card.create(1, 1, &[VRAM])?;
        let works = [work_on(&bo)?, work_on(&bo)?];

        for (ended, result) in [Ok(()), Err(EIO)].into_iter().enumerate() {
            check_eq!(bo.wait_until(0), Err(ETIME), "{} ended", ended);
            check_eq!(bo.wait_until(now() + 1000), Err(ETIME), "{} ended", ended);
            works[ended].signal(result);
        }
        check_eq!(bo.wait_until(0), Ok(()));
        Ok(())
    }

    fn now() -> i64 {
        // SAFETY: Only reads the clock.
        unsafe { bindings::ktime_get() }
    }

    /// However it lies between two ticks.
    #[test]
    fn no_wait_ends_before_its_time() -> Result {
        let card = card()?;
        let bo = card.create(1, 1, &[VRAM])?;
        let _work = work_on(&bo)?;

        for us in (0..20_000).step_by(777) {
            let deadline = now() + us * 1000;

            check_eq!(bo.wait_until(deadline), Err(ETIME));
            check!(now() >= deadline, "{} us", us);
        }
        Ok(())
    }

    #[test]
    fn a_freed_buffer_keeps_its_memory_while_it_is_worked_on() -> Result {
        let card = card()?;

        for mem_type in [MemType::Vram, MemType::Tt, MemType::System] {
            let bo = card.create(10, 1, &[Place::anywhere(mem_type)])?;
            let work = work_on(&bo)?;

            drop(bo);
            check_eq!(card.ttm_usage(mem_type), 10 * PAGE_SIZE as u64);
            check_eq!(Payload::alive(), 1);
            work.signal(Ok(()));
            card.wait_for_delayed_deletes();
            check_eq!(card.ttm_usage(mem_type), 0);
            check_eq!(Payload::alive(), 0);
        }
        Ok(())
    }
}
