// SPDX-License-Identifier: GPL-2.0

//! Memory statistics and leak detection: always on, and right after any sequence of create, move,
//! evict, fail, free, unplug and reset.
//!
//! They hook in at three places only: where a manager takes and gives back memory (bytes by heap, so
//! that moves and evictions are always accounted for), where a buffer is created and freed, and where it
//! is moved. None of them allocates for bookkeeping or takes a lock but the tracker's, which is
//! innermost and never held for long.

mod clock;
pub(crate) mod counters;
mod guard;
pub(crate) mod info;
pub(crate) mod leak;
mod leak_check;
mod limit;
mod report;
mod settings;
pub(crate) mod timing;

use kernel::{
    device::{
        self,
        Bound, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
    time::Msecs, //
};

use self::{
    clock::Clock,
    counters::{
        Counter,
        HeapStats,
        MoveStats,
        FAILURES, //
    },
    leak::{
        track,
        Owner,
        Tracked,
        Tracker,
        Tracking,
        CONFIRMED,
        SUSPECTED,
        YOUNG, //
    },
    limit::Limit,
    timing::Timing, //
};
use crate::{
    bo::{
        BoParam,
        Domain, //
    },
    sys::{
        periodic::{
            Periodic,
            Tick, //
        },
        stack::Trace, //
    },
    trace, //
};

pub(crate) use self::guard::{
    AllocGuard,
    FreeStart,
    MoveGuard, //
};

const NSEC_PER_MSEC: i64 = 1_000_000;

/// ms between leak checks, to begin with.
const LEAK_CHECK_INTERVAL: i64 = 5_000;
/// ms after which a buffer is suspected, to begin with.
const SUSPECTED_AFTER: i64 = 30_000;
/// ms after which a leak is confirmed, to begin with.
const CONFIRMED_AFTER: i64 = 300_000;
/// Percent of a heap that may be taken up without a warning, to begin with.
const LIMIT: u64 = 90;

/// What bytes are counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heap {
    Vram,
    /// The part of VRAM that the CPU can reach.
    VisibleVram,
    Gtt,
    Cpu,
}

impl Heap {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Vram, Self::VisibleVram, Self::Gtt, Self::Cpu];

    /// Its name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Vram => "VRAM",
            Self::VisibleVram => "visible VRAM",
            Self::Gtt => "GTT",
            Self::Cpu => "CPU",
        }
    }

    /// The domain it is, or is part of.
    pub(crate) fn domain(self) -> Domain {
        match self {
            Self::Vram | Self::VisibleVram => Domain::Vram,
            Self::Gtt => Domain::Gtt,
            Self::Cpu => Domain::Cpu,
        }
    }
}

/// All statistics of a card. In an [`Arc`]: whoever holds memory counts here.
#[pin_data]
pub(crate) struct MemoryStats {
    dev: ARef<device::Device>,
    clock: Clock,
    heaps: [HeapStats; 4],
    limits: [Limit; 4],
    /// Buffers created.
    pub(crate) alloc: Timing,
    /// Buffers freed.
    pub(crate) free: Timing,
    /// Buffers moved.
    pub(crate) move_: Timing,
    moves: [[MoveStats; 3]; 3],
    /// Moves the kernel made to make room.
    pub(crate) evicted: MoveStats,
    failures: [Counter; FAILURES.len()],
    tracker: Arc<Tracker>,
    next_id: Counter,
    leak_check_interval: Counter,
    suspected_after: Counter,
    confirmed_after: Counter,
    limit_percent: Counter,
    keep_traces: Atomic<bool>,
}

/// The statistics with the work that checks for leaks.
pub(crate) type Stats = Periodic<MemoryStats>;

impl MemoryStats {
    /// Statistics for `dev`, with heaps of so many bytes in the order of [`Heap::ALL`]. The leak check
    /// runs from now on.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn init(dev: &device::Device<Bound>, totals: [u64; 4]) -> Result<Arc<Stats>> {
        let tracker = Tracker::new()?;
        let stats = Periodic::new(
            dev,
            try_pin_init!(Self {
                dev: dev.into(),
                clock: Clock::new(),
                heaps: [const { HeapStats::new() }; 4],
                limits: totals.map(Limit::new),
                alloc: Timing::new(),
                free: Timing::new(),
                move_: Timing::new(),
                moves: [const { [const { MoveStats::new() }; 3] }; 3],
                evicted: MoveStats::new(),
                failures: [const { Counter::new() }; FAILURES.len()],
                tracker,
                next_id: Counter::new(),
                leak_check_interval: Counter::new(),
                suspected_after: Counter::new(),
                confirmed_after: Counter::new(),
                limit_percent: Counter::new(),
                keep_traces: Atomic::new(false),
            }? Error),
        )?;

        stats.suspected_after.set(SUSPECTED_AFTER);
        stats.confirmed_after.set(CONFIRMED_AFTER);
        stats.set_limit_percent(LIMIT)?;
        // CAST: Not negative.
        stats.set_leak_check_interval(LEAK_CHECK_INTERVAL as u64)?;
        Ok(stats)
    }

    /// The card.
    pub(crate) fn dev(&self) -> &device::Device {
        &self.dev
    }

    /// The counters of a heap.
    pub(crate) fn heap(&self, heap: Heap) -> &HeapStats {
        // CAST: The variants count from 0.
        &self.heaps[heap as usize]
    }

    /// Buffers that are alive.
    pub(crate) fn objects_live(&self) -> usize {
        [YOUNG, SUSPECTED, CONFIRMED]
            .into_iter()
            .map(|state| self.tracker.len(state))
            .sum()
    }

    /// Buffers in a state of the leak detector.
    pub(crate) fn leaks(&self, state: usize) -> usize {
        self.tracker.len(state)
    }

    /// Moves from one domain to another.
    pub(crate) fn moves(&self, from: Domain, to: Domain) -> &MoveStats {
        &self.moves[index(from)][index(to)]
    }

    /// Creations that failed in the ways of [`FAILURES`].
    pub(crate) fn failures(&self) -> impl Iterator<Item = (Option<Error>, &'static str, u64)> + '_ {
        FAILURES
            .into_iter()
            .zip(&self.failures)
            .map(|((err, name), count)| (err, name, count.get()))
    }

    /// A creation begins; what it takes is known when the guard is told the result.
    pub(crate) fn alloc_start(&self) -> AllocGuard<'_> {
        AllocGuard {
            stats: self,
            start: self.clock.now(),
            failed: Some(ECANCELED),
        }
    }

    /// Tracks a buffer that `client` is creating, as long as it keeps the result.
    pub(crate) fn track(&self, param: BoParam, client: u64) -> impl PinInit<Tracking> {
        let trace = match self.keep_traces.load(Relaxed) {
            true => Trace::save(2),
            false => Trace::default(),
        };

        track(
            self.tracker.clone(),
            Tracked::new(
                // CAST: Counts from 1.
                self.next_id.add(1) as u64,
                param,
                self.clock.coarse(),
                Owner::current(client),
                trace,
            ),
        )
    }

    /// A free begins; the buffer keeps the time until it ends.
    pub(crate) fn free_start(&self, start: &FreeStart) {
        start.0.store(self.clock.now(), Relaxed);
    }

    /// A free ends, in the destructor of a buffer that was created.
    pub(crate) fn free_end(&self, tracked: &Tracked, start: &FreeStart) {
        let now = self.clock.now();
        let ns = now - start.0.load(Relaxed);

        self.free.record(ns);
        trace::bo_free(
            &self.dev,
            tracked.id,
            tracked.param.size,
            (self.clock.coarse() - tracked.created).unsigned_abs(),
            ns.unsigned_abs(),
        );
        if tracked.state() != 0 {
            self.trace_leak(tracked, trace::LEAK_FREED, self.clock.coarse());
        }
    }

    /// A move of a buffer begins, to make room if `evict`.
    pub(crate) fn move_start<'a>(
        &'a self,
        tracked: &'a Tracked,
        from: Domain,
        to: Domain,
        evict: bool,
    ) -> MoveGuard<'a> {
        MoveGuard {
            stats: self,
            start: self.clock.now(),
            tracked,
            from,
            to,
            evict,
        }
    }

    /// The time for durations, in ns since some moment.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    /// The copy engine took `ns` for a move, not counting the time it had others to do before.
    pub(crate) fn moved_by_engine(&self, ns: i64) {
        self.move_.record(ns);
    }

    /// Sets all to 0 but for what is alive and the bytes it takes up.
    pub(crate) fn reset(&self) {
        self.heaps.iter().for_each(HeapStats::reset);
        self.moves.iter().flatten().for_each(MoveStats::reset);
        self.evicted.reset();
        self.failures.iter().for_each(|count| count.set(0));
        for timing in [&self.alloc, &self.free, &self.move_] {
            timing.reset();
        }
    }
}

impl Stats {
    /// Ends the leak checks, and says in the log what is still alive.
    pub(crate) fn fini(&self) {
        self.stop();

        let live = self.objects_live();
        if live > 0 {
            let bytes: u64 = [Heap::Vram, Heap::Gtt, Heap::Cpu]
                .into_iter()
                .map(|heap| self.heap(heap).live.get())
                .sum();

            dev_warn!(
                self.dev,
                "{} buffers of {} bytes are still alive\n",
                live,
                bytes
            );
            self.log_alive();
        }
    }
}

/// Ends the statistics of a card when dropped: do so when it is unbound, after it was unplugged.
pub(crate) struct Fini(Arc<Stats>);

impl Fini {
    /// Of `stats`.
    pub(crate) fn of(stats: Arc<Stats>) -> Self {
        Self(stats)
    }
}

impl Drop for Fini {
    fn drop(&mut self) {
        self.0.fini();
    }
}

impl Tick for MemoryStats {
    fn tick(&self, _parent: &device::Device<Bound>) -> Option<Msecs> {
        self.report_limits();

        let interval = self.get_leak_check_interval();
        if interval == 0 {
            return None;
        }
        if self.leak_check() > 0 || crate::module_parameters::debug_level.value() > 1 {
            self.debug_print();
        }
        // CAST: Set from an `i32`.
        Some(interval as Msecs)
    }
}

/// A domain's place among [`Domain::ALL`].
fn index(domain: Domain) -> usize {
    match domain {
        Domain::Vram => 0,
        Domain::Gtt => 1,
        Domain::Cpu => 2,
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../tests/kunit/memory_stats.rs"]
mod kunit;
