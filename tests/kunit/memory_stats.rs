// SPDX-License-Identifier: GPL-2.0

//! Memory statistics: counters, times, limits, and leaks with time that is moved.

use kernel::{
    faux,
    prelude::*, //
};

use super::{
    counters::{
        failure,
        MoveStats, //
    },
    timing::BUCKETS,
    *, //
};
use crate::ttm::{
    Holder,
    Moved, //
};

const NSEC_PER_SEC: i64 = 1000 * NSEC_PER_MSEC;

/// Bytes of VRAM, visible VRAM, GTT, and no limit.
pub(super) const TOTALS: [u64; 4] = [100_000, 40_000, 200_000, 0];

/// Statistics whose leak check runs only when a test says so, and the device they are of.
pub(super) struct Bench {
    pub(super) stats: Arc<Stats>,
    _dev: faux::Registration,
}

impl Bench {
    pub(super) fn new() -> Result<Self> {
        let dev = faux::Registration::new(c"pddgpu-kunit", None)?;
        let stats = MemoryStats::init(dev.as_ref().as_ref(), TOTALS)?;

        stats.set_leak_check_interval(0)?;
        Ok(Self { stats, _dev: dev })
    }

    /// A tracked buffer that was created now.
    fn track(&self, id: u64) -> Result<Pin<KBox<Tracking>>> {
        self.track_sized(id, 4096)
    }

    fn track_sized(&self, id: u64, size: u64) -> Result<Pin<KBox<Tracking>>> {
        let owner = Owner {
            client: 7,
            pid: 42,
            comm: *b"kunit\0\0\0\0\0\0\0\0\0\0\0",
        };

        KBox::pin_init(
            track(
                self.stats.tracker.clone(),
                Tracked::new(
                    id,
                    BoParam::new(size, 0, Domain::Vram as u32, 0)?,
                    self.stats.clock.coarse(),
                    owner,
                    Trace::default(),
                ),
            ),
            GFP_KERNEL,
        )
    }

    fn after(&self, seconds: i64) {
        self.stats.clock.advance(seconds * NSEC_PER_SEC);
    }

    /// How many buffers are young, suspected, confirmed.
    fn states(&self) -> [usize; 3] {
        [YOUNG, SUSPECTED, CONFIRMED].map(|state| self.stats.leaks(state))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stats.stop();
    }
}

#[kunit_tests(pddgpu_counters)]
mod counter_tests {
    use super::*;
    use crate::kunit::{check_eq, Random, WALK};

    #[test]
    fn a_counter_adds() -> Result {
        let counter = Counter::new();

        check_eq!(counter.get(), 0);
        for (n, sum) in [
            (1, 1),
            (0, 1),
            (41, 42),
            (-2, 40),
            (i64::MAX - 40, i64::MAX),
        ] {
            check_eq!(counter.add(n), sum, "{}", n);
            check_eq!(counter.get(), sum as u64);
        }
        counter.set(5);
        check_eq!(counter.get(), 5);
        Ok(())
    }

    #[test]
    fn a_counter_below_0_reads_0() -> Result {
        let counter = Counter::new();

        check_eq!(counter.add(-3), -3);
        check_eq!(counter.get(), 0);
        check_eq!(counter.add(5), 2);
        check_eq!(counter.get(), 2);
        Ok(())
    }

    #[test]
    fn a_counter_is_only_raised() -> Result {
        let counter = Counter::new();

        for (n, expected) in [
            (0, 0),
            (-5, 0),
            (7, 7),
            (6, 7),
            (7, 7),
            (8, 8),
            (i64::MAX, i64::MAX),
        ] {
            counter.raise(n);
            check_eq!(counter.get(), expected as u64, "{}", n);
        }
        Ok(())
    }

    #[test]
    fn a_heap_counts_bytes() -> Result {
        let heap = HeapStats::new();

        // Taken or given back; then live, peak, allocated, freed.
        for (n, expected) in [
            (100i64, [100u64, 100, 100, 0]),
            (50, [150, 150, 150, 0]),
            (-100, [50, 150, 150, 100]),
            (60, [110, 150, 210, 100]),
            (0, [110, 150, 210, 100]),
            (41, [151, 151, 251, 100]),
            (-151, [0, 151, 251, 251]),
        ] {
            let live = match n {
                0.. => heap.take(n as u64),
                _ => heap.give_back(n.unsigned_abs()),
            };

            check_eq!(
                [&heap.live, &heap.peak, &heap.allocated, &heap.freed].map(Counter::get),
                expected,
                "{}",
                n
            );
            check_eq!(live, expected[0]);
        }
        Ok(())
    }

    #[test]
    fn a_reset_heap_keeps_what_is_live() -> Result {
        let heap = HeapStats::new();

        heap.take(100);
        heap.take(30);
        heap.give_back(100);
        heap.reset();
        check_eq!(
            [&heap.live, &heap.peak, &heap.allocated, &heap.freed].map(Counter::get),
            [30, 30, 0, 0]
        );
        heap.give_back(30);
        heap.reset();
        check_eq!(
            [&heap.live, &heap.peak, &heap.allocated, &heap.freed].map(Counter::get),
            [0, 0, 0, 0]
        );
        Ok(())
    }

    #[test]
    fn moves_count_and_add_up() -> Result {
        let moves = MoveStats::new();

        for n in 1..=10u64 {
            moves.add(n * 4096);
            check_eq!(moves.count.get(), n);
            check_eq!(moves.bytes.get(), n * (n + 1) / 2 * 4096);
        }
        moves.reset();
        check_eq!((moves.count.get(), moves.bytes.get()), (0, 0));
        Ok(())
    }

    #[test]
    fn every_error_has_its_counter() -> Result {
        for (index, (err, name)) in FAILURES.into_iter().enumerate() {
            if let Some(err) = err {
                check_eq!(failure(err), index, "{}", name);
            }
        }
        for err in [ECANCELED, EINVAL, EIO, EPERM, EFAULT] {
            check_eq!(failure(err), FAILURES.len() - 1, "{:?}", err);
        }
        Ok(())
    }

    /// Against plain numbers.
    #[test]
    fn random_walk() -> Result {
        let heap = HeapStats::new();
        let (mut live, mut peak, mut allocated, mut freed) = (0, 0, 0, 0);
        let mut random = Random::new(4);

        for step in 0..WALK {
            match random.below(1000) {
                0 => {
                    heap.reset();
                    (peak, allocated, freed) = (live, 0, 0);
                }
                1..500 => {
                    let n = random.below(1 << 30);

                    live += n;
                    allocated += n;
                    peak = peak.max(live);
                    check_eq!(heap.take(n), live, "step {}", step);
                }
                _ => {
                    let n = random.below(live + 1);

                    live -= n;
                    freed += n;
                    check_eq!(heap.give_back(n), live, "step {}", step);
                }
            }
            check_eq!(
                [&heap.live, &heap.peak, &heap.allocated, &heap.freed].map(Counter::get),
                [live, peak, allocated, freed],
                "step {}",
                step
            );
        }
        Ok(())
    }
}

#[kunit_tests(pddgpu_timing)]
mod timing_tests {
    use super::*;
    use crate::kunit::{check, check_eq, Random};

    fn recorded(times: &[i64]) -> Timing {
        let timing = Timing::new();

        times.iter().for_each(|ns| timing.record(*ns));
        timing
    }

    fn check_bucket(ns: i64, bucket: usize) -> Result {
        let timing = recorded(&[ns]);

        for (index, count) in timing.histogram.iter().enumerate() {
            check_eq!(
                count.get(),
                u64::from(index == bucket),
                "{} ns, bucket {}",
                ns,
                index
            );
        }
        Ok(())
    }

    #[test]
    fn buckets_are_powers_of_two() -> Result {
        for ns in [i64::MIN, -1, 0, 1] {
            check_bucket(ns, 0)?;
        }
        for exponent in 1..63 {
            let ns = 1i64 << exponent;

            check_bucket(ns - 1, (exponent - 1).min(BUCKETS - 1))?;
            check_bucket(ns, exponent.min(BUCKETS - 1))?;
            check_bucket(ns + 1, exponent.min(BUCKETS - 1))?;
        }
        check_bucket(i64::MAX, BUCKETS - 1)
    }

    #[test]
    fn nothing_took_no_time() -> Result {
        let timing = Timing::new();

        check_eq!(timing.average(), 0);
        for percent in [0, 1, 50, 99, 100] {
            check_eq!(timing.percentile(percent), 0, "{}", percent);
        }
        Ok(())
    }

    #[test]
    fn count_total_average_and_max() -> Result {
        for (times, total, average, max) in [
            (&[1][..], 1, 1, 1),
            (&[0][..], 1, 1, 1),
            (&[-5][..], 1, 1, 1),
            (&[1, 2][..], 3, 1, 2),
            (&[10, 20, 30][..], 60, 20, 30),
            (&[30, 20, 10, 1000][..], 1060, 265, 1000),
            (&[1 << 40, 1 << 41][..], 3 << 40, 3 << 39, 1 << 41),
        ] {
            let timing = recorded(times);

            check_eq!(timing.count(), times.len() as u64, "{:?}", times);
            check_eq!(timing.total.get(), total, "{:?}", times);
            check_eq!(timing.average(), average, "{:?}", times);
            check_eq!(timing.max.get(), max, "{:?}", times);
        }
        Ok(())
    }

    #[test]
    fn percentiles() -> Result {
        // 99 short ones and a long one.
        let timing = Timing::new();
        (0..99).for_each(|_| timing.record(10));
        timing.record(1000);
        for (percent, expected) in [(0, 16), (1, 16), (50, 16), (99, 16), (100, 1000)] {
            check_eq!(timing.percentile(percent), expected, "{}", percent);
        }

        // The longest time is less than its bucket's end.
        let timing = recorded(&[100]);
        for percent in [0, 1, 50, 100] {
            check_eq!(timing.percentile(percent), 100, "{}", percent);
        }

        // One in each of the first ten buckets.
        let timing = Timing::new();
        (0..10).for_each(|exponent| timing.record(1 << exponent));
        for (percent, expected) in [(10, 2), (20, 4), (50, 32), (90, 512), (91, 512), (100, 512)] {
            check_eq!(timing.percentile(percent), expected, "{}", percent);
        }
        Ok(())
    }

    /// A percentile is at least the time it stands for, less than twice that, and no more than the
    /// longest.
    #[test]
    fn percentiles_of_random_times() -> Result {
        let mut random = Random::new(5);

        for round in 0..200 {
            let mut times = KVec::new();
            let count = 1 + random.below(300);

            for _ in 0..count {
                let bits = 1 + random.below(30);
                times.push(1 + random.below(1 << bits) as i64, GFP_KERNEL)?;
            }
            let timing = recorded(&times);
            times.sort_unstable();

            for percent in [1, 10, 25, 50, 75, 90, 99, 100] {
                let rank = (count * percent).div_ceil(100);
                let exact = times[rank as usize - 1] as u64;
                let got = timing.percentile(percent);

                check!(
                    exact <= got && got <= 2 * exact && got <= timing.max.get(),
                    "round {}: {} % is {}, not {}",
                    round,
                    percent,
                    got,
                    exact
                );
            }
        }
        Ok(())
    }

    #[test]
    fn reset_forgets_all() -> Result {
        let timing = recorded(&[1, 10, 1 << 20, 1 << 62]);

        timing.reset();
        check_eq!(
            [timing.count(), timing.total.get(), timing.max.get()],
            [0, 0, 0]
        );
        check!(timing.histogram.iter().all(|count| count.get() == 0));
        check_eq!(timing.average(), 0);
        Ok(())
    }
}

#[kunit_tests(pddgpu_memory_stats)]
mod stats_tests {
    use super::*;
    use crate::kunit::{check, check_eq};

    #[test]
    fn creations_that_fail() -> Result {
        let bench = Bench::new()?;
        let stats = &bench.stats;

        for (err, _) in FAILURES {
            stats.alloc_start().alloc_end(&Err(err.unwrap_or(EIO)));
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
        check_eq!(
            (stats.evicted.count.get(), stats.evicted.bytes.get()),
            (3, 7 * 4096)
        );
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
        stats.alloc_start().alloc_end(&Err(ENOSPC));
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
        check_eq!(stats.evicted.count.get(), 0);
        Ok(())
    }

    #[test]
    fn settings_have_ranges() -> Result {
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

        for (ms, good) in [(0, true), (1 << 31, false), (u64::MAX, false)] {
            check_eq!(stats.set_leak_check_interval(ms).is_ok(), good, "{}", ms);
            check_eq!(stats.get_leak_check_interval(), 0, "{}", ms);
        }
        Ok(())
    }
}

#[kunit_tests(pddgpu_leaks)]
mod leak_tests {
    use super::*;
    use crate::kunit::{check, check_eq};

    #[test]
    fn age_makes_leaks() -> Result {
        for (seconds, expected, changes) in [
            (0, [1, 0, 0], 0),
            (20, [1, 0, 0], 0),
            (30, [0, 1, 0], 1),
            (31, [0, 1, 0], 1),
            (290, [0, 1, 0], 1),
            (300, [0, 0, 1], 2),
            (1_000_000, [0, 0, 1], 2),
        ] {
            let bench = Bench::new()?;
            let buffer = bench.track(1)?;

            bench.after(seconds);
            check_eq!(bench.stats.leak_check(), changes, "{} s", seconds);
            check_eq!(bench.states(), expected, "{} s", seconds);
            // Once each.
            check_eq!(bench.stats.leak_check(), 0, "{} s", seconds);
            check_eq!(bench.states(), expected, "{} s", seconds);

            drop(buffer);
            check_eq!(bench.states(), [0, 0, 0], "{} s", seconds);
        }
        Ok(())
    }

    #[test]
    fn one_after_the_other() -> Result {
        let bench = Bench::new()?;
        let mut buffers = KVec::new();

        // One every 100 s: at the last, three are confirmed and two more suspected.
        for id in 0..6 {
            buffers.push(bench.track(id)?, GFP_KERNEL)?;
            if id < 5 {
                bench.after(100);
            }
            bench.stats.leak_check();
        }
        check_eq!(bench.states(), [1, 2, 3]);
        check_eq!(bench.stats.objects_live(), 6);

        let leaks = bench.stats.leak_list()?;
        check!(leaks.iter().map(|leak| leak.id).eq(0..5));
        check!(leaks
            .iter()
            .map(|leak| leak.state)
            .eq([CONFIRMED, CONFIRMED, CONFIRMED, SUSPECTED, SUSPECTED]));
        for leak in leaks.iter() {
            let age = 100 * (5 - leak.id as i64);

            check!(
                (age..age + 30).contains(&(leak.age / NSEC_PER_SEC)),
                "leak {}",
                leak.id
            );
        }

        // Freed in the middle.
        drop(buffers.remove(1).map_err(|_| EINVAL)?);
        drop(buffers.remove(3).map_err(|_| EINVAL)?);
        check_eq!(bench.states(), [1, 1, 2]);
        let leaks = bench.stats.leak_list()?;
        check!(leaks.iter().map(|leak| leak.id).eq([0, 2, 3]));
        Ok(())
    }

    #[test]
    fn thresholds_hold_at_once() -> Result {
        let bench = Bench::new()?;
        let _buffer = bench.track(1)?;

        bench.after(10);
        check_eq!(bench.stats.leak_check(), 0);
        bench.stats.set_suspected_after(5_000)?;
        check_eq!(bench.stats.leak_check(), 1);
        check_eq!(bench.states(), [0, 1, 0]);
        bench.stats.set_confirmed_after(8_000)?;
        check_eq!(bench.stats.leak_check(), 1);
        check_eq!(bench.states(), [0, 0, 1]);
        // It stays what it was found to be.
        bench.stats.set_confirmed_after(1_000_000)?;
        check_eq!(bench.stats.leak_check(), 0);
        check_eq!(bench.states(), [0, 0, 1]);
        Ok(())
    }

    #[test]
    fn a_leak_tells_who_and_why() -> Result {
        let bench = Bench::new()?;
        let buffer = bench.track(9)?;
        let leak = || -> Result<Leak> {
            let all = bench.stats.list(&[YOUNG], |_| true)?;

            all.first().copied().ok_or(ENOENT)
        };

        let first = leak()?;
        check_eq!((first.id, first.param.size, first.state), (9, 4096, YOUNG));
        check_eq!((first.owner.client, first.owner.pid), (7, 42));
        check_eq!(first.owner.comm(), "kunit");
        check_eq!(first.domain, None);
        check!(first.is_orphaned());

        for holder in [Holder::Handle, Holder::Mapping, Holder::Export] {
            buffer.held(holder, 1);
            buffer.held(holder, 1);
            let held = leak()?;
            let counts = [
                (Holder::Handle, held.handles),
                (Holder::Mapping, held.mappings),
                (Holder::Export, held.exports),
            ];

            for (kind, count) in counts {
                check_eq!(
                    count,
                    if kind == holder { 2 } else { 0 },
                    "{:?} by {:?}",
                    kind,
                    holder
                );
            }
            check!(!held.is_orphaned());
            buffer.held(holder, -2);
            check!(leak()?.is_orphaned());
        }
        Ok(())
    }

    #[test]
    fn lists_take_what_is_wanted() -> Result {
        let bench = Bench::new()?;
        let mut buffers = KVec::new();

        for id in 0..100 {
            buffers.push(bench.track(id)?, GFP_KERNEL)?;
        }
        let odd = bench.stats.list(&[YOUNG], |leak| leak.id % 2 == 1)?;
        check!(odd.iter().map(|leak| leak.id).eq((1..100).step_by(2)));
        check_eq!(bench.stats.leak_list()?.len(), 0);
        Ok(())
    }

    /// More than are logged one by one, and more than one lock's worth.
    #[test]
    fn a_thousand_leaks() -> Result {
        let bench = Bench::new()?;
        let mut buffers = KVec::new();

        for id in 0..1000 {
            buffers.push(bench.track(id)?, GFP_KERNEL)?;
        }
        bench.after(300);
        check_eq!(bench.stats.leak_check(), 2000);
        check_eq!(bench.states(), [0, 0, 1000]);
        check!(bench
            .stats
            .leak_list()?
            .iter()
            .map(|leak| leak.id)
            .eq(0..1000));
        drop(buffers);
        check_eq!(bench.stats.objects_live(), 0);
        Ok(())
    }
}
