// SPDX-License-Identifier: GPL-2.0

//! Memory statistics as a whole.

use kernel::prelude::*;

use super::*;
use crate::{
    abstractions::ttm::Moved,
    memory_stats::{
        bench::{
            Bench,
            NSEC_PER_SEC, //
        },
        FreeStart, //
    }, //
};

#[kunit_tests(pddgpu_memory_stats)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq, //
    };

    #[test]
    fn creations_that_fail() -> Result {
        let bench = Bench::new()?;
        let stats = &bench.stats;

        for (err, _) in FAILURES {
            stats.alloc_start().alloc_end(Err(err.unwrap_or(EIO)));
        }
        // Dropped without a result.
        drop(stats.alloc_start());

        check_eq!(stats.alloc.count(), 0);
        for (err, name, count) in stats.failures() {
            check_eq!(count, if err.is_some() { 1 } else { 2 }, "{}", name);
        }
        Ok(())
    }

    #[test]
    fn times_are_the_clocks() -> Result {
        let bench = Bench::new()?;
        let stats = &bench.stats;
        let buffer = bench.track(1)?;
        let start = FreeStart::new();

        stats.free_start(&start);
        bench.after(8);
        stats.free_end(&buffer, &start);
        let guard = stats.move_start(&buffer, Domain::Vram, Domain::Gtt, false);
        bench.after(9);
        guard.move_end(&Ok(Moved::Now));

        for (timing, seconds) in [(&stats.free, 8), (&stats.move_, 9)] {
            check_eq!(timing.count(), 1);
            check!(
                (seconds..seconds + 5).contains(&(timing.total.get() / NSEC_PER_SEC as u64)),
                "{} s",
                seconds
            );
        }

        // What the engine has still to do takes the time that the engine tells.
        let guard = stats.move_start(&buffer, Domain::Vram, Domain::Gtt, false);
        bench.after(100);
        guard.move_end(&Ok(Moved::Fenced));
        check_eq!(stats.move_.count(), 1);
        check_eq!(stats.moves(Domain::Vram, Domain::Gtt).count.get(), 2);
        stats.moved_by_engine(50 * NSEC_PER_SEC);
        check_eq!(stats.move_.count(), 2);
        check_eq!(stats.move_.max.get(), 50 * NSEC_PER_SEC as u64);
        Ok(())
    }

    #[test]
    fn moves_by_direction() -> Result {
        let bench = Bench::new()?;
        let stats = &bench.stats;

        for (i, from) in Domain::ALL.into_iter().enumerate() {
            for (j, to) in Domain::ALL.into_iter().enumerate() {
                let bytes = 4096 << (3 * i + j);
                let buffer = bench.track_sized(1, bytes)?;
                let start = || stats.move_start(&buffer, from, to, i == 0);

                start().move_end(&Ok(Moved::Now));
                start().move_end(&Err(ENOSPC));
                drop(start());

                check_eq!(
                    stats.moves(from, to).count.get(),
                    1,
                    "{:?} to {:?}",
                    from,
                    to
                );
                check_eq!(
                    stats.moves(from, to).bytes.get(),
                    bytes,
                    "{:?} to {:?}",
                    from,
                    to
                );
            }
        }
        check_eq!(stats.move_.count(), 9);
        let query = stats.query(0, 0);
        check_eq!((query.evictions, query.evicted_bytes), (3, 7 * 4096));
        Ok(())
    }

    #[test]
    fn heaps_are_apart() -> Result {
        let bench = Bench::new()?;
        let stats = &bench.stats;

        for (n, heap) in Heap::ALL.into_iter().enumerate() {
            stats.take(heap, 1 << n);
        }
        for (n, heap) in Heap::ALL.into_iter().enumerate() {
            check_eq!(stats.heap(heap).live.get(), 1 << n, "{:?}", heap);
            stats.give_back(heap, 1 << n);
            check_eq!(stats.heap(heap).live.get(), 0, "{:?}", heap);
        }
        Ok(())
    }

    #[test]
    fn a_reset_keeps_what_is_alive() -> Result {
        let bench = Bench::new()?;
        let stats = &bench.stats;
        let alive = bench.track(1)?;

        stats.take(Heap::Vram, 300);
        stats.give_back(Heap::Vram, 100);
        stats.alloc_start().alloc_end(Err(ENOSPC));
        let start = FreeStart::new();
        stats.free_start(&start);
        stats.free_end(&alive, &start);
        stats
            .move_start(&alive, Domain::Vram, Domain::Gtt, true)
            .move_end(&Ok(Moved::Now));
        stats.reset();

        let vram = stats.heap(Heap::Vram);
        check_eq!(
            [&vram.live, &vram.peak, &vram.allocated, &vram.freed].map(Counter::get),
            [200, 200, 0, 0]
        );
        check_eq!(stats.objects_live(), 1);
        check_eq!(
            [&stats.alloc, &stats.free, &stats.move_].map(|timing| timing.count()),
            [0, 0, 0]
        );
        check!(stats.failures().all(|(_, _, count)| count == 0));
        check_eq!(stats.moves(Domain::Vram, Domain::Gtt).count.get(), 0);
        check!(stats.events.all().all(|(_, count)| count == 0));
        Ok(())
    }

    #[test]
    fn limit_and_interval_have_ranges() -> Result {
        let bench = Bench::new()?;
        let stats = &bench.stats;

        check_eq!(stats.limit_percent(), 90);
        for (percent, good) in [
            (0, true),
            (1, true),
            (100, true),
            (101, false),
            (u64::MAX, false),
        ] {
            check_eq!(
                stats.set_limit_percent(percent).is_ok(),
                good,
                "{}",
                percent
            );
            check_eq!(stats.limit_percent(), percent.min(100), "{}", percent);
        }
        for (ms, good) in [(0, true), (1 << 31, false), (u64::MAX, false)] {
            check_eq!(stats.set_leak_check_interval(ms).is_ok(), good, "{}", ms);
            check_eq!(stats.get_leak_check_interval(), 0, "{}", ms);
        }
        Ok(())
    }

    #[test]
    fn ages_have_ranges() -> Result {
        let bench = Bench::new()?;
        let stats = &bench.stats;

        check_eq!(stats.suspected_after(), 30_000);
        check_eq!(stats.confirmed_after(), 300_000);
        for (suspected, confirmed, good) in [
            (Some(300_000), None, true),
            (Some(300_001), None, false),
            (None, Some(299_999), false),
            (None, Some(300_000), true),
            (None, Some(u64::from(u32::MAX)), true),
            (None, Some(1 << 32), false),
            (None, Some(u64::MAX), false),
            (Some(u64::MAX), None, false),
            (Some(0), None, true),
            (None, Some(0), true),
            (Some(1), None, false),
        ] {
            let before = (stats.suspected_after(), stats.confirmed_after());
            let mut expected = before;
            let result = match (suspected, confirmed) {
                (Some(ms), _) => {
                    expected.0 = ms;
                    stats.set_suspected_after(ms)
                }
                (_, Some(ms)) => {
                    expected.1 = ms;
                    stats.set_confirmed_after(ms)
                }
                _ => Ok(()),
            };

            check_eq!(result.is_ok(), good, "{:?} {:?}", suspected, confirmed);
            check_eq!(
                (stats.suspected_after(), stats.confirmed_after()),
                if good { expected } else { before },
                "{:?} {:?}",
                suspected,
                confirmed
            );
        }
        Ok(())
    }

    #[test]
    fn no_two_buffers_have_the_same_number() -> Result {
        let bench = Bench::new()?;
        let param = BoParam::new(4096, 0, Domain::Gtt as u32, 0)?;
        let track = || KBox::pin_init(bench.stats.track(param, 7), GFP_KERNEL);
        let first = track()?;
        let second = track()?;

        check_eq!((first.id, second.id), (1, 2));
        // Nor one that is gone, nor after a reset.
        drop(second);
        bench.stats.reset();
        check_eq!(track()?.id, 3);
        check_eq!(track()?.id, 4);
        Ok(())
    }

    #[test]
    fn calls_are_kept_of_buffers_that_are_created_while_they_are_wanted() -> Result {
        let bench = Bench::new()?;
        let stats = &bench.stats;
        let param = BoParam::new(4096, 0, Domain::Gtt as u32, 0)?;
        let track = || KBox::pin_init(stats.track(param, 7), GFP_KERNEL);

        check!(!stats.keeps_traces());
        let before = track()?;
        stats.keep_traces(true)?;
        check!(stats.keeps_traces());
        let during = track()?;
        stats.keep_traces(false)?;
        let after = track()?;

        check_eq!(
            [&before, &during, &after].map(|buffer| buffer.trace.is_some()),
            [false, true, false]
        );
        Ok(())
    }

    /// Who creates a buffer is who calls.
    #[test]
    fn a_buffer_is_its_creators() -> Result {
        let bench = Bench::new()?;
        let param = BoParam::new(4096, 0, Domain::Gtt as u32, 0)?;
        let buffer = KBox::pin_init(bench.stats.track(param, 12), GFP_KERNEL)?;
        let caller = crate::abstractions::task::Process::current();

        check_eq!(buffer.owner.client, 12);
        check_eq!(buffer.owner.pid, caller.pid);
        check_eq!(buffer.owner.comm, caller.comm);
        check!(buffer.owner.pid > 0 && buffer.owner.comm[15] == 0);
        Ok(())
    }

    /// Both begin when they are told to, whatever others do meanwhile.
    #[test]
    fn frees_at_the_same_time_take_their_own_time() -> Result {
        let bench = Bench::new()?;
        let stats = &bench.stats;
        let buffers = [bench.track(1)?, bench.track(2)?];
        let starts = [FreeStart::new(), FreeStart::new()];

        stats.free_start(&starts[0]);
        bench.after(100);
        stats.free_start(&starts[1]);
        bench.after(1000);
        stats.free_end(&buffers[0], &starts[0]);
        stats.free_end(&buffers[1], &starts[1]);

        check_eq!(stats.free.max.get() / NSEC_PER_SEC as u64 / 100, 11);
        check_eq!(stats.free.total.get() / NSEC_PER_SEC as u64 / 100, 21);
        Ok(())
    }
}
