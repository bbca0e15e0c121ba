// SPDX-License-Identifier: GPL-2.0

//! How full a heap may get before the kernel log gets a warning.

use kernel::{
    sync::atomic::Atomic, //
};

use crate::memory_stats::counters::Counter;

/// Percent of the heap by which usage has to fall below the limit before the next warning.
const HYSTERESIS: u64 = 5;

/// The limit of a heap.
pub(super) struct Limit {
    /// Bytes the heap has, 0 for one without a limit.
    pub(super) total: u64,
    /// Bytes that may be taken up without a warning.
    pub(super) high: Counter,
    /// Bytes below which the next crossing gets a warning again.
    pub(super) low: Counter,
    /// Whether it was crossed and not left again.
    pub(super) crossed: Atomic<bool>,
    /// Whether a crossing waits to be reported.
    pub(super) pending: Atomic<bool>,
}

impl Limit {
    /// The limit of a heap of `total` bytes, or of a heap without a limit for 0. Call
    /// [`set`](Self::set) before its first use.
    pub(super) const fn new(total: u64) -> Self {
        Self {
            total,
            high: Counter::new(),
            low: Counter::new(),
            crossed: Atomic::new(false),
            pending: Atomic::new(false),
        }
    }

    /// Sets the limit, in percent of the heap.
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
