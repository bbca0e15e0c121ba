// SPDX-License-Identifier: GPL-2.0

//! How long operations take, in ns.

use crate::{
    memory_stats::counters::Counter,
    uapi, //
};

/// Buckets of a histogram.
pub(crate) const BUCKETS: usize = uapi::PDDGPU_TIME_BUCKETS as usize;

/// How long operations of one kind took.
pub(crate) struct Timing {
    /// ns they took in all.
    pub(crate) total: Counter,
    /// ns the longest took.
    pub(crate) max: Counter,
    /// Bucket `i` counts those that took from 2^i to less than 2^(i + 1) ns; the first those below 2
    /// ns too, the last all longer ones.
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

    /// An operation took `ns`.
    pub(super) fn record(&self, ns: i64) {
        let ns = ns.max(1);
        // CAST: At most 62.
        let bucket = (ns.ilog2() as usize).min(BUCKETS - 1);

        self.total.add(ns);
        self.max.raise(ns);
        self.histogram[bucket].add(1);
    }

    /// Operations that succeeded since the last reset.
    pub(crate) fn count(&self) -> u64 {
        self.histogram.iter().map(Counter::get).sum()
    }

    /// ns an operation took on average, 0 without any.
    pub(crate) fn average(&self) -> u64 {
        self.total.get().checked_div(self.count()).unwrap_or(0)
    }

    /// The ns that `percent` of the operations did not exceed: the end of a bucket, or the longest time
    /// if that is less. The last bucket has no end.
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
