// SPDX-License-Identifier: GPL-2.0

//! The usage limit of a heap, above which there is a warning in the log.

use kernel::{
    sync::atomic::Atomic, //
};

use crate::memory_stats::counters::Counter;

/// Percent of the heap by which usage has to fall below the limit before the next warning.
const HYSTERESIS: u64 = 5;

/// The usage limit of a heap.
pub(super) struct Limit {
    /// Bytes of the heap; 0 for a heap without a limit.
    pub(super) total: u64,
    /// Bytes in use above which there is a warning.
    pub(super) high: Counter,
    /// Bytes in use at which the warning is armed again.
    pub(super) low: Counter,
    /// Whether usage has risen above `high` and not fallen to `low` since.
    pub(super) crossed: Atomic<bool>,
    /// Whether a warning is still to be logged.
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
