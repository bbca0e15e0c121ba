// SPDX-License-Identifier: GPL-2.0

//! Counters without a lock: every one is an `Atomic<i64>`, relaxed. Each is exact; two read one after
//! the other may be from different moments.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// One counter.
pub(crate) struct Counter(Atomic<i64>);

impl Counter {
    /// A counter at 0.
    pub(crate) const fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// Adds `n`, and tells what came of it.
    pub(super) fn add(&self, n: i64) -> i64 {
        if cfg!(pddgpu_no_stats) {
            return 0;
        }
        self.0.fetch_add(n, Relaxed).wrapping_add(n)
    }

    /// Raises it to `n` if it is below.
    pub(super) fn raise(&self, n: i64) {
        if cfg!(pddgpu_no_stats) {
            return;
        }

        let mut seen = self.0.load(Relaxed);

        while seen < n {
            match self.0.cmpxchg(seen, n, Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Sets it.
    pub(super) fn set(&self, n: i64) {
        self.0.store(n, Relaxed);
    }

    /// Reads it; one that others count down meanwhile may be below 0 for a moment.
    pub(crate) fn get(&self) -> u64 {
        u64::try_from(self.0.load(Relaxed)).unwrap_or(0)
    }
}

/// What buffers took from a heap and gave back, in bytes.
pub(crate) struct HeapStats {
    /// Taken since the last reset.
    pub(crate) allocated: Counter,
    /// Given back since the last reset.
    pub(crate) freed: Counter,
    /// Taken up now.
    pub(crate) live: Counter,
    /// Most taken up at once since the last reset.
    pub(crate) peak: Counter,
}

impl HeapStats {
    pub(super) const fn new() -> Self {
        Self {
            allocated: Counter::new(),
            freed: Counter::new(),
            live: Counter::new(),
            peak: Counter::new(),
        }
    }

    /// `bytes` were taken. Tells how many are now.
    pub(super) fn take(&self, bytes: u64) -> u64 {
        // CAST: No heap has 2^63 bytes.
        let live = self.live.add(bytes as i64);

        self.allocated.add(bytes as i64);
        self.peak.raise(live);
        // CAST: What was taken is there.
        live as u64
    }

    /// `bytes` were given back. Tells how many are left.
    pub(super) fn give_back(&self, bytes: u64) -> u64 {
        self.freed.add(bytes as i64);
        self.live.add(-(bytes as i64)) as u64
    }

    /// Forgets all but what is taken up now.
    pub(super) fn reset(&self) {
        self.allocated.set(0);
        self.freed.set(0);
        self.peak.set(0);
        // What is taken meanwhile has raised it, or does so now.
        self.peak.raise(self.live.get() as i64);
    }
}

/// Moves in one direction.
pub(crate) struct MoveStats {
    /// How many.
    pub(crate) count: Counter,
    /// Bytes.
    pub(crate) bytes: Counter,
}

impl MoveStats {
    pub(super) const fn new() -> Self {
        Self {
            count: Counter::new(),
            bytes: Counter::new(),
        }
    }

    pub(super) fn add(&self, bytes: u64) {
        self.count.add(1);
        self.bytes.add(bytes as i64);
    }

    pub(super) fn reset(&self) {
        self.count.set(0);
        self.bytes.set(0);
    }
}

/// The ways in which creations fail that have a counter of their own; the last counts all others.
pub(crate) const FAILURES: [(Option<Error>, &str); 8] = [
    (Some(ENOSPC), "ENOSPC"),
    (Some(ENOMEM), "ENOMEM"),
    (Some(E2BIG), "E2BIG"),
    (Some(EBUSY), "EBUSY"),
    (Some(ENODEV), "ENODEV"),
    (Some(ERESTARTSYS), "ERESTARTSYS"),
    (Some(EINTR), "EINTR"),
    (None, "other"),
];

/// The place in [`FAILURES`] of an error.
pub(super) fn failure(err: Error) -> usize {
    FAILURES
        .iter()
        .position(|(kind, _)| *kind == Some(err))
        .unwrap_or(FAILURES.len() - 1)
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/memory_stats/counters.rs"]
mod kunit;
