// SPDX-License-Identifier: GPL-2.0

//! The threshold monitor: a warning when a heap gets nearly full, once per crossing.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

use super::{
    counters::Counter,
    leak::{
        CONFIRMED,
        SUSPECTED, //
    },
    Heap,
    MemoryStats,
    Stats, //
};

/// Percent of a heap that must become free below the limit before it warns again.
const HYSTERESIS: u64 = 5;

/// The limit of a heap.
pub(super) struct Limit {
    /// Bytes the heap has, 0 for one without a limit.
    total: u64,
    /// Bytes that may be taken up without a warning.
    high: Counter,
    /// Bytes below which the next crossing gets a warning again.
    low: Counter,
    /// Whether it was crossed and not left again.
    crossed: Atomic<bool>,
    /// Whether a crossing waits to be reported.
    pending: Atomic<bool>,
}

impl Limit {
    /// The limit of a heap of `total` bytes, 0 for one without; to be [`set`](Self::set).
    pub(super) const fn new(total: u64) -> Self {
        Self {
            total,
            high: Counter::new(),
            low: Counter::new(),
            crossed: Atomic::new(false),
            pending: Atomic::new(false),
        }
    }

    /// Percent of the heap.
    pub(super) fn set(&self, percent: u64) {
        let bytes = |percent: u64| match self.total {
            0 => i64::MAX,
            // CAST: No heap has 2^63 bytes.
            total => (total / 100 * percent + total % 100 * percent / 100) as i64,
        };

        self.high.set(bytes(percent));
        self.low.set(bytes(percent.saturating_sub(HYSTERESIS)));
    }
}

impl MemoryStats {
    /// Says once per crossing that a heap is nearly full.
    pub(super) fn report_limits(&self) {
        for heap in Heap::ALL {
            let limit = &self.limits[heap as usize];

            if limit.pending.xchg(false, Relaxed) {
                dev_warn!(
                    self.dev,
                    "{} is nearly full: {} of {} bytes in {} buffers, {} suspected and {} confirmed leaks\n",
                    heap.name(),
                    self.heap(heap).live.get(),
                    limit.total,
                    self.objects_live(),
                    self.leaks(SUSPECTED),
                    self.leaks(CONFIRMED)
                );
            }
        }
    }
}

impl Stats {
    /// A manager took `bytes` of a heap.
    pub(crate) fn take(&self, heap: Heap, bytes: u64) {
        let live = self.heap(heap).take(bytes);
        let limit = &self.limits[heap as usize];

        if live > limit.high.get()
            && !limit.crossed.load(Relaxed)
            && !limit.crossed.xchg(true, Relaxed)
        {
            limit.pending.store(true, Relaxed);
            self.kick(0);
        }
    }

    /// A manager got `bytes` of a heap back.
    pub(crate) fn give_back(&self, heap: Heap, bytes: u64) {
        let live = self.heap(heap).give_back(bytes);
        let limit = &self.limits[heap as usize];

        if limit.crossed.load(Relaxed) && live <= limit.low.get() {
            limit.crossed.store(false, Relaxed);
        }
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/limit.rs"]
mod kunit;
