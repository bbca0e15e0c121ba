// SPDX-License-Identifier: GPL-2.0

//! The one place time comes from, so that tests can move it.

#[cfg(CONFIG_KUNIT)]
use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

use crate::sys::time;

/// A clock that counts ns.
pub(crate) struct Clock {
    /// ns that tests have moved it on.
    #[cfg(CONFIG_KUNIT)]
    moved: Atomic<i64>,
}

impl Clock {
    /// A clock that nobody has moved.
    pub(crate) const fn new() -> Self {
        Self {
            #[cfg(CONFIG_KUNIT)]
            moved: Atomic::new(0),
        }
    }

    /// The time, in ns.
    pub(crate) fn now(&self) -> i64 {
        if cfg!(pddgpu_no_stats) {
            return 0;
        }

        #[cfg(CONFIG_KUNIT)]
        let moved = self.moved.load(Relaxed);
        #[cfg(not(CONFIG_KUNIT))]
        let moved = 0;

        time::local_clock() + moved
    }

    /// Moves the clock on by `ns`.
    #[cfg(CONFIG_KUNIT)]
    pub(crate) fn advance(&self, ns: i64) {
        self.moved.add(ns, Relaxed);
    }
}
