// SPDX-License-Identifier: GPL-2.0

//! The periodic leak check, and what it and the end of the statistics log.

use kernel::prelude::*;

use crate::memory_stats::{
    counters::Counter,
    leak::{
        Leak,
        LeakState,
        Tracked, //
    },
    report,
    stats::{
        MemoryStats,
        Stats,
        NSEC_PER_MSEC, //
    }, //
};

/// How many leaks a check logs with a line each.
const LOGGED_AT_ONCE: usize = 10;

impl MemoryStats {
    /// Makes young buffers that are old enough suspected, and suspected ones that are old enough
    /// confirmed. Confirmed leaks are logged. Returns how many buffers changed their state.
    ///
    /// The lists are in the order of creation, so a check looks only at the buffers that change
    /// their state and at the first one of each list that does not.
    pub(crate) fn leak_check(&self) -> usize {
        let now = self.clock.coarse();
        let older = |after: &Counter| {
            let limit = now - (after.get() as i64).saturating_mul(NSEC_PER_MSEC);

            move |tracked: &Tracked| tracked.created <= limit
        };
        let mut changed = 0;
        let mut confirmed = 0;
        // Room for those that are logged, as the log is written while no lock is held.
        let mut logged = KVec::with_capacity(LOGGED_AT_ONCE, GFP_KERNEL).unwrap_or_default();

        // What could not pass now, for lack of memory, does at the next check.
        let young = LeakState::Young.generation();
        let _ = self
            .tracker
            .advance(young, older(&self.suspected_after), |tracked| {
                changed += 1;
                self.passed(tracked, LeakState::Suspected, now);
            });
        let suspected = LeakState::Suspected.generation();
        let _ = self
            .tracker
            .advance(suspected, older(&self.confirmed_after), |tracked| {
                changed += 1;
                confirmed += 1;
                self.passed(tracked, LeakState::Confirmed, now);
                // Fails when there are enough.
                let _ = logged.push_within_capacity(Leak::new(tracked, LeakState::Confirmed, now));
            });
        self.log_confirmed(&logged, confirmed - logged.len());
        changed
    }

    fn log_confirmed(&self, leaks: &[Leak], more: usize) {
        for leak in leaks {
            dev_warn!(
                self.dev,
                "leak confirmed: buffer {} of {} bytes, {} s old, by {}[{}], {}\n",
                leak.id,
                leak.size,
                leak.age / (1000 * NSEC_PER_MSEC),
                leak.owner.comm(),
                leak.owner.pid,
                report::Reason(leak)
            );
        }
        if more > 0 {
            dev_warn!(self.dev, "{} more leaks confirmed\n", more);
        }
    }

    fn passed(&self, tracked: &Tracked, state: LeakState, now: i64) {
        tracked.set_state(state);
        self.trace_leak(tracked, state as u32, now);
    }
}

impl Stats {
    /// Logs the oldest buffers that are alive, at most [`LOGGED_AT_ONCE`].
    pub(super) fn log_alive(&self) {
        let Ok(mut walk) = self.walk(LeakState::Young) else {
            return;
        };

        for _ in 0..LOGGED_AT_ONCE {
            let Ok(Some(leak)) = walk.next(self, |_| true) else {
                return;
            };

            dev_warn!(
                self.dev,
                "still alive: buffer {} of {} bytes by {}[{}], {}\n",
                leak.id,
                leak.size,
                leak.owner.comm(),
                leak.owner.pid,
                report::Reason(&leak)
            );
        }
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/memory_stats/leak_check.rs"]
mod kunit;
