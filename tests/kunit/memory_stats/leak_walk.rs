// SPDX-License-Identifier: GPL-2.0

//! Walks that take their time, while buffers come, go and change their state.

use super::*;
use crate::memory_stats::bench::Bench;

/// What is left of a walk: 0 for the counts, the PID of each process, negative, and the number of
/// each leak.
fn rest(walk: &mut WalkByProcess, bench: &Bench) -> Result<KVec<i64>> {
    let mut all = KVec::new();

    while let Some(found) = walk.next(&bench.stats)? {
        let number = match found {
            Found::Counts { .. } => 0,
            Found::Process { owner, .. } => -i64::from(owner.pid),
            Found::Leak(leak) => leak.id as i64,
        };

        all.push(number, GFP_KERNEL)?;
    }
    Ok(all)
}

#[kunit_tests(pddgpu_leak_walk)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq, //
    };

    #[test]
    fn a_process_comes_with_its_leaks_and_their_totals() -> Result {
        let bench = Bench::new()?;
        let mut buffers = KVec::new();

        for (pid, id, pages) in [(5, 1, 1), (9, 2, 7), (5, 3, 2)] {
            buffers.push(bench.track_by(pid, id, pages * 4096)?, GFP_KERNEL)?;
        }
        bench.after(30);
        bench.stats.leak_check();
        let _young = bench.track_by(5, 4, 4096)?;

        let mut walk = WalkByProcess::new(&bench.stats);
        check_eq!(&*rest(&mut walk, &bench)?, &[0, -9, 2, -5, 1, 3]);
        check_eq!(rest(&mut walk, &bench)?.len(), 0);

        let mut walk = WalkByProcess::new(&bench.stats);
        for (members, weight) in [(1, 7 * 4096), (2, 3 * 4096)] {
            let totals = loop {
                match walk.next(&bench.stats)?.ok_or(ENOENT)? {
                    Found::Process { totals, .. } => break totals,
                    _ => continue,
                }
            };

            check_eq!(totals, Totals { members, weight });
        }
        Ok(())
    }

    /// The order stays what it was, those that are freed are left out, and so are those that come.
    #[test]
    fn a_walk_lists_what_stays_once() -> Result {
        let bench = Bench::new()?;
        let mut buffers = KVec::new();

        for (pid, id, pages) in [
            (1, 1, 3),
            (2, 2, 2),
            (3, 3, 1),
            (1, 4, 3),
            (2, 5, 2),
            (1, 6, 3),
        ] {
            buffers.push(bench.track_by(pid, id, pages * 4096)?, GFP_KERNEL)?;
        }
        bench.after(30);
        bench.stats.leak_check();

        let mut walk = WalkByProcess::new(&bench.stats);
        for _ in 0..3 {
            walk.next(&bench.stats)?;
        }
        // It is at leak 1. Leak 4 goes, and all of process 3; process 2 gets more than process 1.
        drop(buffers.remove(3).map_err(|_| EINVAL)?);
        drop(buffers.remove(2).map_err(|_| EINVAL)?);
        bench.after(1);
        let _late = [bench.track_by(2, 7, 1 << 20)?, bench.track_by(4, 8, 4096)?];
        bench.after(300);
        check_eq!(bench.stats.leak_check(), 8);
        check_eq!(&*rest(&mut walk, &bench)?, &[6, -2, 2, 5]);

        let mut walk = WalkByProcess::new(&bench.stats);
        check_eq!(
            &*rest(&mut walk, &bench)?,
            &[0, -2, 2, 5, 7, -1, 1, 6, -4, 8]
        );
        Ok(())
    }

    #[test]
    fn a_walk_over_all_ends_where_it_began() -> Result {
        let bench = Bench::new()?;
        let mut buffers = KVec::new();

        for id in 0..100 {
            buffers.push(bench.track(id)?, GFP_KERNEL)?;
        }
        let mut walk = bench.stats.walk(LeakState::Young)?;
        for id in 0..40 {
            check_eq!(
                walk.next(&bench.stats, |_| true)?.map(|leak| leak.id),
                Some(id)
            );
        }
        bench.after(30);
        bench.stats.leak_check();
        let _late = bench.track(100)?;
        for id in 40..100 {
            let leak = walk.next(&bench.stats, |_| true)?.ok_or(ENOENT)?;

            check_eq!((leak.id, leak.state), (id, LeakState::Suspected));
        }
        check!(walk.next(&bench.stats, |_| true)?.is_none());
        Ok(())
    }
}
