// SPDX-License-Identifier: GPL-2.0

//! The periodic work of the statistics, from when a card is bound until it is unbound: it looks for
//! leaks, and reports heaps that are nearly full.

use kernel::{
    device::{
        self,
        Bound, //
    },
    prelude::*,
    sync::Arc,
    time::Msecs, //
};

use crate::{
    abstractions::workqueue::{
        Periodic,
        Tick, //
    },
    memory_stats::stats::{
        Heap,
        MemoryStats,
        Stats, //
    }, //
};

/// Default ms between leak checks.
const LEAK_CHECK_INTERVAL: i64 = 5_000;
/// Default age, in ms, from which a buffer is a suspected leak.
const SUSPECTED_AFTER: i64 = 30_000;
/// Default age, in ms, from which a buffer is a confirmed leak.
const CONFIRMED_AFTER: i64 = 300_000;
/// Default percentage of a heap above which its usage is warned about.
const LIMIT: u64 = 90;

impl MemoryStats {
    /// Creates the statistics of `dev` and starts the leak check. `totals` are the bytes of the
    /// heaps, in the order of [`Heap::ALL`]. `debug_level` returns the module parameter of that
    /// name.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn init(
        dev: &device::Device<Bound>,
        totals: [u64; 4],
        debug_level: fn() -> u32,
    ) -> Result<Arc<Stats>> {
        let stats = Periodic::new(dev, Self::new(dev, totals, debug_level)?)?;

        stats.suspected_after.set(SUSPECTED_AFTER);
        stats.confirmed_after.set(CONFIRMED_AFTER);
        stats.set_limit_percent(LIMIT)?;
        // CAST: Not negative.
        stats.set_leak_check_interval(LEAK_CHECK_INTERVAL as u64)?;
        Ok(stats)
    }
}

impl Stats {
    /// Stops the leak check, and logs the buffers that are still alive.
    pub(crate) fn fini(&self) {
        self.stop();

        let live = self.objects_live();
        if live > 0 {
            let bytes: u64 = [Heap::Vram, Heap::Gtt, Heap::Cpu]
                .into_iter()
                .map(|heap| self.heap(heap).live.get())
                .sum();

            let noun = if live == 1 { "buffer" } else { "buffers" };

            dev_warn!(
                self.dev,
                "{} {} of {} bytes still alive\n",
                live,
                noun,
                bytes
            );
            self.log_alive();
        }
    }
}

/// A guard that stops the leak check, and logs the buffers that are still alive, when it is
/// dropped.
///
/// Drop it during unbind, after the card was unplugged.
pub(crate) struct Fini(Arc<Stats>);

impl Fini {
    /// A guard for `stats`.
    pub(crate) fn new(stats: Arc<Stats>) -> Self {
        Self(stats)
    }
}

impl Drop for Fini {
    fn drop(&mut self) {
        self.0.fini();
    }
}

impl Tick for MemoryStats {
    fn tick(&self, _parent: &device::Device<Bound>) -> Option<Msecs> {
        self.report_limits();

        let interval = self.get_leak_check_interval();
        if interval == 0 {
            return None;
        }
        if self.leak_check() > 0 || (self.debug_level)() > 1 {
            self.debug_print();
        }
        // CAST: Set from an `i32`.
        Some(interval as Msecs)
    }
}
