// SPDX-License-Identifier: GPL-2.0

//! What the engine was told: which job it is at, and what is told anew after a reset.

use super::{
    super::job::{
        Ranges,
        Work, //
    },
    *, //
};

const PAGE: u64 = kernel::page::PAGE_SIZE as u64;

/// A job that is known by its pages.
fn job(pages: u64) -> Result<ListArc<Job>> {
    Job::new(Work::Clear {
        to: Ranges::new(core::iter::once(0..pages * PAGE))?,
    })
}

fn list(jobs: &[u64]) -> Result<List<Job>> {
    let mut list = List::new();

    for &pages in jobs {
        list.push_back(job(pages)?);
    }
    Ok(list)
}

/// An engine that has the jobs `waiting` before it and is in the middle of `current`.
fn state(waiting: &[u64], current: Option<u64>) -> Result<State> {
    let mut state = State::new(&Carveout {
        gart: 0..PAGE,
        commands: PAGE..2 * PAGE,
        interrupts: 2 * PAGE..3 * PAGE,
        fence: 3 * PAGE..4 * PAGE,
    })?;

    state.waiting = list(waiting)?;
    state.current = match current {
        Some(pages) => Some((job(pages)?, Progress::default())),
        None => None,
    };
    Ok(state)
}

#[kunit_tests(pddgpu_state)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq, //
    };

    /// Later jobs may need what the earlier ones made.
    #[test]
    fn what_is_begun_again_is_done_in_the_same_order() -> Result {
        for (told, current, waiting) in [
            (&[][..], None, &[][..]),
            (&[], None, &[1, 2]),
            (&[], Some(1), &[]),
            (&[1, 2, 3], None, &[]),
            (&[1], Some(2), &[3]),
            (&[1, 2], Some(3), &[4, 5]),
            (&[1, 2, 3], None, &[4]),
        ] {
            let mut jobs = list(told)?;
            let mut state = state(waiting, current)?;
            let count = told.len() + waiting.len() + usize::from(current.is_some());

            // Again and again.
            for _ in 0..2 {
                state.begin_again(&mut jobs);
                check!(jobs.is_empty(), "{} jobs", count);
                check!(state.current.is_none(), "{} jobs", count);
                check!(
                    state
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
        let mut state = state(&[], Some(1))?;

        state.windows = [7, 8];
        state.begin_again(&mut List::new());
        check_eq!(state.windows, [0, 0]);
        Ok(())
    }

    #[test]
    fn the_engine_is_at_the_oldest_that_it_was_told() -> Result {
        for (told, current, waiting, first) in [
            (&[][..], None, &[][..], None),
            // Of these it knows nothing yet.
            (&[], None, &[1, 2], None),
            (&[], Some(3), &[1, 2], Some(3)),
            (&[4, 5], Some(3), &[1, 2], Some(4)),
            (&[4, 5], None, &[1], Some(4)),
        ] {
            let jobs = list(told)?;
            let state = state(waiting, current)?;

            check_eq!(
                state.first(&jobs).map(|job| job.work.bytes() / PAGE),
                first,
                "{:?}, {:?}, {:?}",
                told,
                current,
                waiting
            );
        }
        Ok(())
    }
}
