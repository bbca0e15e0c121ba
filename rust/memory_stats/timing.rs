// SPDX-License-Identifier: GPL-2.0

//! Durations of operations, in ns, as a histogram.

use crate::{
    memory_stats::counters::Counter,
    uapi, //
};

/// Buckets of a histogram.
pub(crate) const BUCKETS: usize = uapi::PDDGPU_TIME_BUCKETS as usize;

/// The durations of all operations of one kind since the last reset.
pub(crate) struct Timing {
    /// Sum of the durations, in ns.
    pub(crate) total: Counter,
    /// The longest duration, in ns.
    pub(crate) max: Counter,
    /// Bucket `i` counts the operations that took from 2^i to less than 2^(i + 1) ns. The first
    /// also counts those below 1 ns, and the last those of any longer duration.
    pub(crate) histogram: [Counter; BUCKETS],
}

impl Timing {
    pub(super) const fn new() -> Self {
        Self {
            total: Counter::new(),
            max: Counter::new(),
            histogram: [const { Counter::new() }; BUCKETS],
        }
    }

    /// Records an operation that took `ns`.
    pub(super) fn record(&self, ns: i64) {
        let ns = ns.max(1);
        // CAST: At most 62.
        let bucket = (ns.ilog2() as usize).min(BUCKETS - 1);

        self.total.add(ns);
        self.max.raise(ns);
        self.histogram[bucket].add(1);
    }

    /// The number of operations that succeeded since the last reset.
    pub(crate) fn count(&self) -> u64 {
        self.histogram.iter().map(Counter::get).sum()
    }

    /// The average duration, in ns; 0 if there was no operation.
    pub(crate) fn average(&self) -> u64 {
        self.total.get().checked_div(self.count()).unwrap_or(0)
    }

    /// An upper bound, in ns, for the duration of the fastest `percent` of the operations.
    ///
    /// It is the upper end of the bucket that the percentile is in, or the longest duration if that
    /// is less.
    pub(crate) fn percentile(&self, percent: u64) -> u64 {
        let wanted = (self.count() * percent).div_ceil(100);
        let mut seen = 0;

        for (bucket, count) in self.histogram.iter().enumerate().take(BUCKETS - 1) {
            seen += count.get();
            if seen >= wanted && seen > 0 {
                return (2u64 << bucket).min(self.max.get());
            }
        }
        self.max.get()
    }

    pub(super) fn reset(&self) {
        self.total.set(0);
        self.max.set(0);
        for bucket in &self.histogram {
            bucket.set(0);
        }
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/memory_stats/timing.rs"]
mod kunit;
