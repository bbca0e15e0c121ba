// SPDX-License-Identifier: GPL-2.0

//! The submit queue: which job the engine works on, and what is submitted again after a reset.

use crate::copy_engine::CopyEngine;

use super::{
    super::{
        job::{
            JobOwner,
            Work, //
        },
        ranges::{
            CopyEnd,
            Ranges, //
        }, //
    },
    *, //
};

const PAGE: u64 = kernel::page::PAGE_SIZE as u64;

/// A job that is known by its pages.
fn job(pages: u64) -> Result<ListArc<Job<CopyEngine>>> {
    let work = Work::Fill {
        to: CopyEnd::Mapped(Ranges::new(core::iter::once(0..pages * PAGE))?),
        value: 0,
    };

    Job::new(work, JobOwner::default(), KVec::new())
}

fn list(jobs: &[u64]) -> Result<List<Job<CopyEngine>>> {
    let mut list = List::new();

    for &pages in jobs {
        list.push_back(job(pages)?);
    }
    Ok(list)
}

/// A queue that has the jobs `waiting` and is in the middle of `partial`.
fn queue_of(waiting: &[u64], partial: Option<u64>) -> Result<SubmitQueue<CopyEngine>> {
    let mut queue = SubmitQueue::new(&ReservedVram {
        gart: 0..PAGE,
        commands: PAGE..2 * PAGE,
        interrupts: 2 * PAGE..3 * PAGE,
        fence: 3 * PAGE..4 * PAGE,
    })?;

    queue.waiting = list(waiting)?;
    queue.partial = match partial {
        Some(pages) => Some(Partial {
            job: job(pages)?,
            progress: Progress::default(),
        }),
        None => None,
    };
    Ok(queue)
}

#[kunit_tests(pddgpu_queue)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq, //
    };

    /// Later jobs may need what the earlier ones made.
    #[test]
    fn requeued_jobs_keep_their_order() -> Result {
        for (submitted, partial, waiting) in [
            (&[][..], None, &[][..]),
            (&[], None, &[1, 2]),
            (&[], Some(1), &[]),
            (&[1, 2, 3], None, &[]),
            (&[1], Some(2), &[3]),
            (&[1, 2], Some(3), &[4, 5]),
            (&[1, 2, 3], None, &[4]),
        ] {
            let mut jobs = list(submitted)?;
            let mut queue = queue_of(waiting, partial)?;
            let count = submitted.len() + waiting.len() + usize::from(partial.is_some());

            // Again and again.
            for _ in 0..2 {
                queue.requeue_inflight(&mut jobs);
                check!(jobs.is_empty(), "{} jobs", count);
                check!(queue.partial.is_none(), "{} jobs", count);
                check!(
                    queue
                        .waiting
                        .iter()
                        .map(|job| job.work.bytes() / PAGE)
                        .eq(1..=count as u64),
                    "{} jobs",
                    count
                );
            }
        }
        Ok(())
    }

    #[test]
    fn no_window_is_in_use_after_a_reset() -> Result {
        let mut queue = queue_of(&[], Some(1))?;

        queue.windows = [7, 8];
        queue.requeue_inflight(&mut List::new());
        check_eq!(queue.windows, [0, 0]);
        Ok(())
    }

    #[test]
    fn the_engine_is_at_the_oldest_that_it_was_submitted() -> Result {
        for (submitted, partial, waiting, first) in [
            (&[][..], None, &[][..], None),
            // Of these it knows nothing yet.
            (&[], None, &[1, 2], None),
            (&[], Some(3), &[1, 2], Some(3)),
            (&[4, 5], Some(3), &[1, 2], Some(4)),
            (&[4, 5], None, &[1], Some(4)),
        ] {
            let jobs = list(submitted)?;
            let queue = queue_of(waiting, partial)?;

            check_eq!(
                queue.running(&jobs).map(|job| job.work.bytes() / PAGE),
                first,
                "{:?}, {:?}, {:?}",
                submitted,
                partial,
                waiting
            );
        }
        Ok(())
    }
}
