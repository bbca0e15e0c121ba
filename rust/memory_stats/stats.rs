// SPDX-License-Identifier: GPL-2.0

//! All statistics of a card, and the operations that are counted.

use kernel::{
    device,
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    }, //
};

use crate::{
    abstractions::{
        stackdepot::Trace,
        workqueue::Periodic, //
    },
    client::Ledger,
    memory_stats::{
        clock::Clock,
        counters::{
            Counter,
            Events,
            HeapStats,
            MoveStats,
            FAILURES, //
        },
        label::Label,
        leak::{
            track,
            LeakState,
            Owner,
            Tracked,
            Tracker,
            Tracking, //
        },
        limit::Limit,
        timing::Timing, //
    },
    trace,
    uapi::{
        BoParam,
        Domain, //
    }, //
};

pub(super) const NSEC_PER_MSEC: i64 = 1_000_000;

/// A kind of memory that has its own counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heap {
    Vram,
    /// The part of VRAM that is inside the aperture. Its bytes count for `Vram` too.
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

    /// The domain it belongs to.
    pub(crate) fn domain(self) -> Domain {
        match self {
            Self::Vram | Self::VisibleVram => Domain::Vram,
            Self::Gtt => Domain::Gtt,
            Self::Cpu => Domain::Cpu,
        }
    }
}

/// The statistics of a card. They are in an [`Arc`], because the managers and the buffers use them
/// after the card was unbound.
#[pin_data]
pub(crate) struct MemoryStats {
    pub(super) dev: ARef<device::Device>,
    pub(super) clock: Clock,
    heaps: [HeapStats; 4],
    pub(super) limits: [Limit; 4],
    /// Durations of creations.
    pub(crate) alloc: Timing,
    /// Durations of frees.
    pub(crate) free: Timing,
    /// Durations of moves.
    pub(crate) move_: Timing,
    moves: [[MoveStats; 3]; 3],
    pub(crate) events: Events,
    pub(super) failures: [Counter; FAILURES.len()],
    pub(super) tracker: Arc<Tracker>,
    /// Whose memory it is.
    pub(crate) ledger: Arc<Ledger>,
    /// Held while a buffer's name is set.
    #[pin]
    label_lock: Mutex<()>,
    next_id: Counter,
    pub(super) leak_check_interval: Counter,
    pub(super) suspected_after: Counter,
    pub(super) confirmed_after: Counter,
    pub(super) limit_percent: Counter,
    pub(super) keep_traces: Atomic<bool>,
    /// The module parameter of that name.
    pub(super) debug_level: fn() -> u32,
}

/// The statistics with the periodic leak check.
pub(crate) type Stats = Periodic<MemoryStats>;

impl MemoryStats {
    /// Statistics for `dev` in which nothing is counted yet, with heaps of `totals` bytes in the
    /// order of [`Heap::ALL`]. `debug_level` is the module parameter of that name.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(
        dev: &device::Device,
        totals: [u64; 4],
        debug_level: fn() -> u32,
    ) -> Result<impl PinInit<Self, Error>> {
        let dev = dev.into();
        let tracker = Tracker::new()?;
        let ledger = Ledger::new()?;

        Ok(try_pin_init!(Self {
            dev,
            clock: Clock::new(),
            heaps: [const { HeapStats::new() }; 4],
            limits: totals.map(Limit::new),
            alloc: Timing::new(),
            free: Timing::new(),
            move_: Timing::new(),
            moves: [const { [const { MoveStats::new() }; 3] }; 3],
            events: Events::new(),
            failures: [const { Counter::new() }; FAILURES.len()],
            tracker,
            ledger,
            label_lock <- new_mutex!(()),
            next_id: Counter::new(),
            leak_check_interval: Counter::new(),
            suspected_after: Counter::new(),
            confirmed_after: Counter::new(),
            limit_percent: Counter::new(),
            keep_traces: Atomic::new(false),
            debug_level,
        }? Error))
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

    /// How many buffers are alive.
    pub(crate) fn objects_live(&self) -> usize {
        LeakState::ALL
            .into_iter()
            .map(|state| self.leaks(state))
            .sum()
    }

    /// How many buffers are in a state of the leak detector.
    pub(crate) fn leaks(&self, state: LeakState) -> usize {
        self.tracker.len(state.generation())
    }

    /// Moves from one domain to another.
    pub(crate) fn moves(&self, from: Domain, to: Domain) -> &MoveStats {
        &self.moves[from.index()][to.index()]
    }

    /// The number of failed creations, for each entry of [`FAILURES`].
    pub(crate) fn failures(&self) -> impl Iterator<Item = (Option<Error>, &'static str, u64)> + '_ {
        FAILURES
            .into_iter()
            .zip(&self.failures)
            .map(|((err, name), count)| (err, name, count.get()))
    }

    /// Initialises the entry of a buffer that `client` is creating. The buffer is tracked until the
    /// entry is dropped.
    pub(crate) fn track(&self, param: BoParam, client: u64) -> impl PinInit<Tracking> {
        let trace = if self.keep_traces.load(Relaxed) {
            Trace::save(2)
        } else {
            Trace::default()
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

    /// Traces that a buffer became `state` of the leak detector, or was freed
    /// ([`trace::LEAK_FREED`]), at `now` in ns of the statistics' clock.
    pub(super) fn trace_leak(&self, tracked: &Tracked, state: u32, now: i64) {
        trace::leak(
            &self.dev,
            tracked.id,
            tracked.param.size,
            state,
            ((now - tracked.created) / NSEC_PER_MSEC).unsigned_abs(),
            tracked.owner.pid,
            &tracked.owner.comm,
        );
    }

    /// Sets the name of a buffer.
    pub(crate) fn set_label(&self, tracked: &Tracked, label: &Label) {
        let _guard = self.label_lock.lock();

        tracked.set_label(label);
        trace::bo_label(&self.dev, tracked.id, label.bytes());
    }

    /// The present time for measuring durations, in ns. Only differences have a meaning.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Records the `ns` that the copy engine worked on a move. Time in the queue is not included.
    pub(crate) fn moved_by_engine(&self, ns: i64) {
        self.move_.record(ns);
    }

    /// Resets all counters. Live buffers and the bytes they use are kept; peaks start from there.
    pub(crate) fn reset(&self) {
        self.heaps.iter().for_each(HeapStats::reset);
        self.moves.iter().flatten().for_each(MoveStats::reset);
        self.events.reset();
        self.failures.iter().for_each(|count| count.set(0));
        for timing in [&self.alloc, &self.free, &self.move_] {
            timing.reset();
        }
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/memory_stats/stats.rs"]
mod kunit;
