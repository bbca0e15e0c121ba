// SPDX-License-Identifier: GPL-2.0

//! The one place time comes from, so that tests can move it.

use kernel::{
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    time::{
        Instant,
        Monotonic, //
    }, //
};

/// A clock that counts ns from when it was made.
pub(crate) struct Clock {
    epoch: Instant<Monotonic>,
    /// ns that tests have moved it on.
    moved: Atomic<i64>,
}

impl Clock {
    /// A clock at 0.
    pub(crate) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            moved: Atomic::new(0),
        }
    }

    /// The time, in ns. It never goes back.
    pub(crate) fn now(&self) -> i64 {
        self.epoch.elapsed().as_nanos() + self.moved.load(Relaxed)
    }

    /// Moves the clock on by `ns`.
    #[cfg(CONFIG_KUNIT)]
    pub(crate) fn advance(&self, ns: i64) {
        self.moved.add(ns, Relaxed);
    }
}
