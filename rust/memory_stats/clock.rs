// SPDX-License-Identifier: GPL-2.0

//! The clock of the statistics. KUnit tests can advance it.

#[cfg(CONFIG_KUNIT)]
use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

use crate::abstractions::time::{
    jiffies,
    jiffies_to_ns,
    Stopwatch, //
};

/// A clock in ns, with a precise reading for durations and a coarse one for ages.
pub(crate) struct Clock {
    stopwatch: Stopwatch,
    /// ns by which tests have advanced it.
    #[cfg(CONFIG_KUNIT)]
    moved: Atomic<i64>,
}

impl Clock {
    /// A clock that shows the real time.
    pub(crate) fn new() -> Self {
        Self {
            stopwatch: Stopwatch::new(),
            #[cfg(CONFIG_KUNIT)]
            moved: Atomic::new(0),
        }
    }

    /// The precise time, in ns.
    pub(crate) fn now(&self) -> i64 {
        if cfg!(pddgpu_no_stats) {
            return 0;
        }
        self.stopwatch.now() + self.moved()
    }

    /// The coarse time, in ns. It advances once per jiffy, which is a few ms.
    pub(crate) fn coarse(&self) -> i64 {
        if cfg!(pddgpu_no_stats) {
            return 0;
        }
        // CAST: 2^63 ns are 292 years.
        jiffies_to_ns(jiffies()) as i64 + self.moved()
    }

    #[cfg(CONFIG_KUNIT)]
    fn moved(&self) -> i64 {
        self.moved.load(Relaxed)
    }

    #[cfg(not(CONFIG_KUNIT))]
    fn moved(&self) -> i64 {
        0
    }

    /// Advances the clock by `ns`.
    #[cfg(CONFIG_KUNIT)]
    pub(crate) fn advance(&self, ns: i64) {
        self.moved.add(ns, Relaxed);
    }
}
