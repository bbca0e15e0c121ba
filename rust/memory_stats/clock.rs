// SPDX-License-Identifier: GPL-2.0

//! The one place time comes from, so that tests can move it.

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

/// A clock that counts ns: finely for durations, coarsely for ages.
pub(crate) struct Clock {
    stopwatch: Stopwatch,
    /// ns that tests have moved it on.
    #[cfg(CONFIG_KUNIT)]
    moved: Atomic<i64>,
}

impl Clock {
    /// A clock that nobody has moved.
    pub(crate) fn new() -> Self {
        Self {
            stopwatch: Stopwatch::new(),
            #[cfg(CONFIG_KUNIT)]
            moved: Atomic::new(0),
        }
    }

    /// The time for durations, in ns.
    pub(crate) fn now(&self) -> i64 {
        if cfg!(pddgpu_no_stats) {
            return 0;
        }
        self.stopwatch.now() + self.moved()
    }

    /// The time for ages, in ns, to a few ms.
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

    /// Moves the clock on by `ns`.
    #[cfg(CONFIG_KUNIT)]
    pub(crate) fn advance(&self, ns: i64) {
        self.moved.add(ns, Relaxed);
    }
}
