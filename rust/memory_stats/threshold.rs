// SPDX-License-Identifier: GPL-2.0

//! The usage limit: a warning in the log when a heap is nearly full.
//!
//! A heap is warned about once when its usage rises above the limit. It is warned about again only
//! after its usage has fallen to 5 percent of the heap below the limit.

use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};

use crate::memory_stats::{
    leak::LeakState,
    stats::{
        Heap,
        MemoryStats,
        Stats, //
    }, //
};

impl MemoryStats {
    /// Logs the warnings that are pending.
    pub(super) fn report_limits(&self) {
        for heap in Heap::ALL {
            let limit = &self.limits[heap as usize];

            if limit.pending.xchg(false, Relaxed) {
                dev_warn!(
                    self.dev,
                    "{} is nearly full: {} of {} bytes, buffers: {}, \
                     suspected leaks: {}, confirmed: {}\n",
                    heap.name(),
                    self.heap(heap).live.get(),
                    limit.total,
                    self.objects_live(),
                    self.leaks(LeakState::Suspected),
                    self.leaks(LeakState::Confirmed)
                );
            }
        }
    }
}

impl Stats {
    /// Counts `bytes` that a manager has allocated from a heap, and checks the heap's limit.
    pub(crate) fn take(&self, heap: Heap, bytes: u64) {
        let live = self.heap(heap).take(bytes);
        let limit = &self.limits[heap as usize];

        if live > limit.high.get()
            && !limit.crossed.load(Relaxed)
            && !limit.crossed.xchg(true, Relaxed)
        {
            limit.pending.store(true, Relaxed);
            self.kick(0);
        }
    }

    /// Counts `bytes` of a heap that a manager has freed.
    pub(crate) fn give_back(&self, heap: Heap, bytes: u64) {
        let live = self.heap(heap).give_back(bytes);
        let limit = &self.limits[heap as usize];

        if limit.crossed.load(Relaxed) && live <= limit.low.get() {
            limit.crossed.store(false, Relaxed);
        }
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/memory_stats/threshold.rs"]
mod kunit;
