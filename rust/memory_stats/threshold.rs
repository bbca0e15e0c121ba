// SPDX-License-Identifier: GPL-2.0

//! The threshold monitor: a warning when a heap gets nearly full, once per crossing.

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
    /// Says once per crossing that a heap is nearly full.
    pub(super) fn report_limits(&self) {
        for heap in Heap::ALL {
            let limit = &self.limits[heap as usize];

            if limit.pending.xchg(false, Relaxed) {
                dev_warn!(
                    self.dev,
                    "{} is nearly full: {} of {} bytes in {} buffers, {} suspected and {} confirmed leaks\n",
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
    /// A manager took `bytes` of a heap.
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

    /// A manager got `bytes` of a heap back.
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
