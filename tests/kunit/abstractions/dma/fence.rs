// SPDX-License-Identifier: GPL-2.0

//! Fences: how they end, in which order they are, who keeps what, and what a deadline becomes.

use super::*;

/// How many [`Line`]s are alive.
static LINES: Atomic<i32> = Atomic::new(0);

/// What no test sets as a deadline.
const NONE: i64 = -1;

/// Nobody's work, which remembers the last deadline that was set.
struct Line {
    deadline: Atomic<i64>,
}

impl Line {
    fn new() -> Result<Arc<Self>> {
        let line = Arc::new(
            Self {
                deadline: Atomic::new(NONE),
            },
            GFP_KERNEL,
        )?;

        LINES.add(1, Relaxed);
        Ok(line)
    }

    fn alive() -> i32 {
        LINES.load(Relaxed)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        LINES.add(-1, Relaxed);
    }
}

impl Timeline for Line {
    const DRIVER_NAME: &'static CStr = c"pddgpu-kunit";
    const NAME: &'static CStr = c"line";

    fn awaited_signalled(&self) {}

    fn set_deadline(&self, ms: Msecs) {
        self.deadline.store(ms.into(), Relaxed);
    }
}

impl Fence {
    /// Somebody would like it to end at a time in ns (`dma_fence_set_deadline()`).
    fn want_at(&self, ns: i64) {
        // SAFETY: By the type invariant.
        unsafe { bindings::dma_fence_set_deadline(self.as_raw(), ns) };
    }

    /// Its context's number, and its own.
    fn numbers(&self) -> (u64, u64) {
        // SAFETY: By the type invariant; neither changes.
        unsafe { ((*self.as_raw()).context, (*self.as_raw()).seqno) }
    }

    fn references(&self) -> i32 {
        // SAFETY: By the type invariant; nobody else has the fence.
        unsafe { (*self.as_raw()).refcount.refcount.refs.counter }
    }
}

fn context() -> Result<Arc<Context<Line>>> {
    Context::new(Line::new()?)
}

fn pending(context: &Arc<Context<Line>>) -> Result<Pending<Line>> {
    Ok(Allocation::new()?.publish(context.clone()))
}

#[kunit_tests(pddgpu_fence)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq, //
    };

    #[test]
    fn a_fence_ends_as_its_work_did() -> Result {
        let context = context()?;

        for result in [
            Ok(()),
            Err(EIO),
            Err(ENOMEM),
            Err(ETIMEDOUT),
            Err(ENODEV),
            Err(ECANCELED),
        ] {
            let work = pending(&context)?;

            check_eq!(work.fence().status(), None, "{:?}", result);
            work.signal(result);
            check_eq!(work.fence().status(), Some(result), "{:?}", result);
            // Nothing to wait for.
            work.fence().wait();
        }
        Ok(())
    }

    #[test]
    fn only_the_first_end_counts() -> Result {
        let context = context()?;

        for (first, second) in [
            (Ok(()), Err(EIO)),
            (Err(EIO), Ok(())),
            (Err(EIO), Err(ENODEV)),
        ] {
            let work = pending(&context)?;
            let fence = work.fence().clone();

            work.signal(first);
            work.signal(second);
            check_eq!(fence.status(), Some(first), "{:?} then {:?}", first, second);
            drop(work);
            check_eq!(fence.status(), Some(first), "{:?} then {:?}", first, second);
        }
        Ok(())
    }

    #[test]
    fn work_that_is_given_up_is_canceled() -> Result {
        let context = context()?;
        let fence = pending(&context)?.fence().clone();

        check_eq!(fence.status(), Some(Err(ECANCELED)));
        fence.wait();
        Ok(())
    }

    #[test]
    fn fences_of_a_context_are_in_order() -> Result {
        let (one, other) = (context()?, context()?);
        let id = pending(&one)?.fence().numbers().0;

        check!(pending(&other)?.fence().numbers().0 != id);
        for number in 2..10 {
            check_eq!(pending(&one)?.fence().numbers(), (id, number));
            check_eq!(pending(&other)?.fence().numbers().1, number);
        }
        Ok(())
    }

    #[test]
    fn memory_that_is_not_published_takes_no_number() -> Result {
        let context = context()?;
        let first = pending(&context)?.fence().numbers().1;

        for _ in 0..5 {
            drop(Allocation::<Line>::new()?);
        }
        check_eq!(pending(&context)?.fence().numbers().1, first + 1);
        Ok(())
    }

    #[test]
    fn references_are_counted() -> Result {
        let work = pending(&context()?)?;
        let fence = work.fence().clone();

        check_eq!(fence.references(), 2);
        let more: [ARef<Fence>; 3] = core::array::from_fn(|_| fence.clone());
        check_eq!(fence.references(), 5);
        drop(more);
        drop(work);
        check_eq!(fence.references(), 1);
        Ok(())
    }

    /// Whoever asks a fence that is not signalled is answered by its timeline.
    #[test]
    fn a_duty_keeps_the_timeline() -> Result {
        let before = Line::alive();
        let context = context()?;
        let works = [pending(&context)?, pending(&context)?];

        drop(context);
        check_eq!(Line::alive(), before + 1);
        let [first, second] = works;
        drop(first);
        check_eq!(Line::alive(), before + 1);
        second.fence().want_at(0);
        drop(second);
        check_eq!(Line::alive(), before);
        Ok(())
    }

    #[test]
    fn a_fence_outlives_its_context() -> Result {
        let before = Line::alive();
        let work = pending(&context()?)?;
        let fence = work.fence().clone();

        work.signal(Err(EIO));
        drop(work);
        check_eq!(Line::alive(), before);
        check_eq!(fence.status(), Some(Err(EIO)));
        fence.want_at(0);
        fence.wait();
        Ok(())
    }

    #[test]
    fn a_deadline_is_ms_from_now() -> Result {
        const HOUR_MS: i64 = 3_600_000;
        let line = Line::new()?;
        let context = Context::new(line.clone())?;
        let work = pending(&context)?;
        // SAFETY: May be called anywhere.
        let now = unsafe { bindings::ktime_get() };

        check_eq!(line.deadline.load(Relaxed), NONE);
        for (at, expected) in [
            (0, 0..=0),
            (now, 0..=0),
            (i64::MIN, 0..=0),
            (i64::MAX, i32::MAX.into()..=i32::MAX.into()),
            // A minute for the machine to get here.
            (now + HOUR_MS * 1_000_000, HOUR_MS - 60_000..=HOUR_MS),
        ] {
            work.fence().want_at(at);

            let ms = line.deadline.load(Relaxed);
            check!(expected.contains(&ms), "{} at {}: {}", at, now, ms);
        }

        // Too late to wish for anything.
        line.deadline.store(NONE, Relaxed);
        work.signal(Ok(()));
        work.fence().want_at(0);
        check_eq!(line.deadline.load(Relaxed), NONE);
        Ok(())
    }

    /// The innermost knows that it is not alone, which is what lockdep is told.
    #[test]
    fn sections_may_be_nested() -> Result {
        for _ in 0..2 {
            let outer = Signalling::begin();
            check_eq!(outer.0, !cfg!(CONFIG_LOCKDEP));

            for _ in 0..2 {
                check!(Signalling::begin().0);
            }
        }
        Ok(())
    }
}
