// SPDX-License-Identifier: GPL-2.0

//! The zeroing of free VRAM: what is zeroed, when, and who waits for it.

use super::*;
use crate::{
    abstractions::dma::fence::{
        Allocation,
        Context,
        Pending,
        Timeline, //
    },
    kunit::{
        check,
        check_eq, //
    },
    mgr::vram_mgr::wiping::DELAY, //
};

fn vram() -> Result<Card> {
    card(4 * MIB, MIB)
}

fn create(card: &Card, pages: u64) -> Result<Ref<'_, Buffer>> {
    card.create(pages, 1, &[VRAM])
}

/// Zeroes everything with jobs that end at once. Returns the bytes of each job.
fn wipe_all(card: &Card) -> Result<KVec<u64>> {
    let mut jobs = KVec::new();

    loop {
        let mut bytes = 0;
        let fence = card.vram.wipe(|ranges| {
            bytes = ranges.map(|range| range.end - range.start).sum();
            Ok(Fence::stub())
        })?;
        if fence.is_none() {
            return Ok(jobs);
        }
        jobs.push(bytes, GFP_KERNEL)?;
        card.vram.wiped();
    }
}

/// An engine that does nothing.
struct Line;

impl Timeline for Line {
    const DRIVER_NAME: &'static CStr = c"pddgpu-kunit";
    const NAME: &'static CStr = c"line";

    fn awaited_signalled(&self) {}

    fn set_deadline(&self, _ms: Msecs) {}
}

/// Has memory zeroed by a job that ends when the result is signalled. Its [`Context`] must outlive it.
fn begin(card: &Card, context: &Arc<Context<Line>>) -> Result<Pending<Line>> {
    let job = Allocation::new()?.publish(context.clone());

    card.vram.wipe(|_| Ok(job.fence().clone()))?.ok_or(EINVAL)?;
    Ok(job)
}

fn context() -> Result<Arc<Context<Line>>> {
    Context::new(Arc::new(Line, GFP_KERNEL)?)
}

/// Notes for when it is called.
struct Called(Atomic<i64>);

impl Wiper for Called {
    fn wipe_within(&self, delay: Msecs) {
        self.0.store(i64::from(delay), Relaxed);
    }
}

impl Called {
    /// In how many ms it was to be called; -1 if not.
    fn take(&self) -> i64 {
        self.0.xchg(-1, Relaxed)
    }
}

#[kunit_tests(pddgpu_wiping)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_an_eighth_at_most() -> Result {
        let card = vram()?;
        let jobs = wipe_all(&card)?;

        check!(
            jobs.iter().all(|&bytes| bytes == MIB / 2),
            "{:?}",
            &jobs[..]
        );
        check_eq!(jobs.len(), 8);
        check_eq!(card.vram.usage().used, 0);
        Ok(())
    }

    #[test]
    fn what_is_freed_soon_goes_in_one_job() -> Result {
        let card = vram()?;

        wipe_all(&card)?;
        for _ in 0..100 {
            drop(create(&card, 1)?);
        }
        let kept = create(&card, 3)?;
        for _ in 0..5 {
            drop(create(&card, 2)?);
        }
        let jobs = wipe_all(&card)?;
        check_eq!(jobs.len(), 1);
        // New buffers take what is zero, and so each other's memory only when that is gone.
        check_eq!(jobs[0], 110 * PAGE);
        drop(kept);
        check_eq!(wipe_all(&card)?.len(), 1);
        check_eq!(wipe_all(&card)?.len(), 0);
        Ok(())
    }

    #[test]
    fn the_wiper_is_called_soon_or_at_once() -> Result {
        let card = vram()?;
        let called = Arc::new(Called(Atomic::new(-1)), GFP_KERNEL)?;

        wipe_all(&card)?;
        card.vram.set_wiper(Some(called.clone()));
        check_eq!(called.take(), -1);
        drop(create(&card, 1)?);
        check_eq!(called.take(), i64::from(DELAY));
        drop(create(&card, 1)?);
        check_eq!(called.take(), -1, "once is enough");
        drop(create(&card, 128)?);
        check_eq!(called.take(), 0);
        wipe_all(&card)?;
        drop(create(&card, 1)?);
        check_eq!(called.take(), i64::from(DELAY));
        card.vram.set_wiper(None);
        Ok(())
    }

    #[test]
    fn a_job_that_failed_leaves_memory_dirty() -> Result {
        let card = vram()?;

        check_eq!(card.vram.wipe(|_| Err(EIO)).err(), Some(EIO));
        check_eq!(card.vram.usage().used, 0);
        check_eq!(wipe_all(&card)?.len(), 8);
        Ok(())
    }

    #[test]
    fn reserved_memory_is_zeroed_too() -> Result {
        let card = vram()?;

        wipe_all(&card)?;
        let bo = create(&card, 64)?;
        let first = {
            let locked = bo.reserve()?;
            let vram = locked.resource().and_then(|res| card.vram.get(res));
            let first = vram.and_then(|vram| vram.ranges().next());

            first.ok_or(EINVAL)?
        };
        card.vram.reserve_range(first.start..first.start + PAGE)?;
        drop(bo);
        check_eq!(
            card.vram.query_page_status(first.start),
            Some(PageStatus::Reserved)
        );
        // With the other pages, and then not again.
        check_eq!(&wipe_all(&card)?[..], [64 * PAGE]);
        check_eq!(wipe_all(&card)?.len(), 0);
        Ok(())
    }

    #[test]
    fn what_is_being_zeroed_is_nobodys_and_not_used() -> Result {
        let card = vram()?;

        card.vram.wipe(|_| Ok(Fence::stub()))?;
        check_eq!(card.vram.usage().used, 0);
        // Whoever needs it gets it as soon as the job has ended.
        let bo = create(&card, 992)?;
        check_eq!(card.vram.usage().used, 992 * PAGE);
        drop(bo);
        check_eq!(card.vram.usage().used, 0);
        Ok(())
    }

    #[test]
    fn lost_content_is_not_taken_for_zero() -> Result {
        let card = vram()?;
        let context = context()?;

        wipe_all(&card)?;
        card.vram.content_lost();
        check_eq!(wipe_all(&card)?.len(), 8);

        // Nor what a job zeroes that began before.
        drop(create(&card, 100)?);
        let job = begin(&card, &context)?;
        card.vram.content_lost();
        job.signal(Ok(()));
        check_eq!(wipe_all(&card)?.iter().sum::<u64>(), 4 * MIB);

        // Nor if it has ended by then, and nobody has looked.
        drop(create(&card, 100)?);
        begin(&card, &context)?.signal(Ok(()));
        card.vram.content_lost();
        check_eq!(wipe_all(&card)?.iter().sum::<u64>(), 4 * MIB);
        Ok(())
    }

    #[test]
    fn nothing_is_zeroed_while_the_card_rests() -> Result {
        let card = vram()?;
        let called = Arc::new(Called(Atomic::new(-1)), GFP_KERNEL)?;

        wipe_all(&card)?;
        card.vram.set_wiper(Some(called.clone()));
        card.vram.rest_wiping(true);
        drop(create(&card, 128)?);
        check_eq!(called.take(), -1);
        check_eq!(wipe_all(&card)?.len(), 0);
        check_eq!(card.vram.wiped(), None);
        card.vram.rest_wiping(false);
        check_eq!(called.take(), 0);
        check_eq!(&wipe_all(&card)?[..], [128 * PAGE]);
        card.vram.set_wiper(None);
        Ok(())
    }

    #[test]
    fn who_waits_for_memory_gets_it_first() -> Result {
        let card = vram()?;
        let context = context()?;
        let job = begin(&card, &context)?;
        let waiting = |change: isize| {
            let wiping = &mut card.vram.memory.lock().wiping;
            wiping.waiting = wiping.waiting.saturating_add_signed(change);
        };

        // A job under way goes on, and the next one does not begin.
        waiting(1);
        check!(card.vram.wipe(|_| Err(EIO))?.is_some());
        job.signal(Ok(()));
        check!(card.vram.wipe(|_| Err(EIO))?.is_none());
        check_eq!(card.vram.wiped(), Some(DELAY));
        waiting(-1);
        check_eq!(card.vram.wiped(), Some(0));
        check_eq!(wipe_all(&card)?.len(), 7);
        Ok(())
    }

    #[test]
    fn who_frees_all_the_time_keeps_nothing_dirty() -> Result {
        let card = vram()?;
        let mut largest = 0;

        // The memory that is zero is freed again before anything else is zeroed.
        for job in 0..18 {
            let mut bytes = 0;

            card.vram.wipe(|ranges| {
                bytes = ranges.map(|range| range.end - range.start).sum();
                Ok(Fence::stub())
            })?;
            card.vram.wiped();
            if job % 9 == 8 {
                check_eq!(card.vram.memory.lock().parts.dirty_avail(), 0, "{}", job);
            } else {
                check!(bytes <= MIB / 2, "{}: {}", job, bytes);
            }
            largest = largest.max(bytes);
            drop(create(&card, 128)?);
        }
        check!(largest > MIB / 2, "{}", largest);
        Ok(())
    }
}
