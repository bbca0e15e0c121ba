// SPDX-License-Identifier: GPL-2.0

//! Counters without a lock.
//!
//! Each counter is an `Atomic<i64>` with relaxed ordering. Each one is exact. Two counters that are
//! read one after the other may show different moments.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

use crate::uapi;

/// One counter.
pub(crate) struct Counter(Atomic<i64>);

impl Counter {
    /// A counter at 0.
    pub(crate) const fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// Adds `n`, and returns the sum.
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

    /// Reads it. A concurrent subtraction may be seen before the addition that it belongs to; then
    /// the value is negative for a moment, and this returns 0.
    pub(crate) fn get(&self) -> u64 {
        u64::try_from(self.0.load(Relaxed)).unwrap_or(0)
    }
}

/// Usage of a heap by buffers, in bytes.
pub(crate) struct HeapStats {
    /// Bytes allocated since the last reset.
    pub(crate) allocated: Counter,
    /// Bytes freed since the last reset.
    pub(crate) freed: Counter,
    /// Bytes in use now.
    pub(crate) live: Counter,
    /// The largest value of `live` since the last reset.
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

    /// Counts `bytes` as allocated. Returns the bytes in use now.
    pub(super) fn take(&self, bytes: u64) -> u64 {
        // CAST: No heap has 2^63 bytes.
        let live = self.live.add(bytes as i64);

        self.allocated.add(bytes as i64);
        self.peak.raise(live);
        // CAST: The bytes just added are part of it, so it is not negative.
        live as u64
    }

    /// Counts `bytes` as freed. Returns the bytes in use now.
    pub(super) fn give_back(&self, bytes: u64) -> u64 {
        self.freed.add(bytes as i64);
        self.live.add(-(bytes as i64)) as u64
    }

    /// Resets all counters but `live`. `peak` starts from there.
    pub(super) fn reset(&self) {
        self.allocated.set(0);
        self.freed.set(0);
        self.peak.set(0);
        // An allocation that runs concurrently has raised the peak after it was set to 0, or its
        // bytes are in `live` already.
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

/// Declares [`Events`]. Each line makes a counter, a method that adds to it, a line of the report,
/// and the value of the field of that name in `struct drm_pddgpu_query_memory_stats`.
macro_rules! events {
    ($( $(#[doc = $meaning:literal])+ $name:ident, )+) => {
        /// What has happened since the last reset.
        pub(crate) struct Events {
            $( $name: Counter, )+
        }

        impl Events {
            pub(super) const fn new() -> Self {
                Self {
                    $( $name: Counter::new(), )+
                }
            }

            $(
                $(#[doc = $meaning])+
                ///
                /// Adds `n`, which is below 2^63.
                pub(crate) fn $name(&self, n: u64) {
                    self.$name.add(n as i64);
                }
            )+

            /// The name of each counter, with its value.
            pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$( (stringify!($name), self.$name.get()), )+].into_iter()
            }

            /// The answer to a query in which all other fields are 0.
            #[inline(always)]
            pub(super) fn query(&self) -> uapi::drm_pddgpu_query_memory_stats {
                uapi::drm_pddgpu_query_memory_stats {
                    $( $name: self.$name.get(), )+
                    ..Default::default()
                }
            }

            pub(super) fn reset(&self) {
                $( self.$name.set(0); )+
            }
        }
    };
}

events! {
    /// Evictions: moves that the kernel made to make room.
    evictions,
    /// Bytes of the evictions.
    evicted_bytes,
}

/// The errors of creations that have a counter of their own. The last entry counts all others.
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

/// The index in [`FAILURES`] of an error.
pub(super) fn failure(err: Error) -> usize {
    FAILURES
        .iter()
        .position(|(kind, _)| *kind == Some(err))
        .unwrap_or(FAILURES.len() - 1)
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/memory_stats/counters.rs"]
mod kunit;
