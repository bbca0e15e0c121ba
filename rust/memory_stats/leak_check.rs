// SPDX-License-Identifier: GPL-2.0

//! The periodic leak check, and lists of leaks for the reports and the log.

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
    /// The suspected and confirmed leaks, oldest first.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn leak_list(&self) -> Result<KVVec<Leak>> {
        self.list(&[LeakState::Confirmed, LeakState::Suspected], |_| true)
    }

    /// Copies the buffers in `states` for which `wanted` returns `true`: state by state in the
    /// order of `states`, and oldest first in each.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn list(
        &self,
        states: &[LeakState],
        wanted: impl Fn(&Leak) -> bool,
    ) -> Result<KVVec<Leak>> {
        let now = self.clock.coarse();
        let mut leaks = KVVec::new();

        for &state in states {
            let copy = |tracked: &Tracked| {
                Some(Leak::snapshot(tracked, state, now)).filter(|leak| wanted(leak))
            };
            self.tracker
                .snapshot(state.generation(), copy, &mut leaks)?;
        }
        Ok(leaks)
    }

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

        let young = LeakState::Young.generation();
        self.tracker
            .advance(young, older(&self.suspected_after), |tracked| {
                changed += 1;
                self.passed(tracked, LeakState::Suspected, now);
            });
        let suspected = LeakState::Suspected.generation();
        self.tracker
            .advance(suspected, older(&self.confirmed_after), |tracked| {
                changed += 1;
                confirmed += 1;
                self.passed(tracked, LeakState::Confirmed, now);
                if confirmed <= LOGGED_AT_ONCE {
                    let leak = Leak::snapshot(tracked, LeakState::Confirmed, now);

                    dev_warn!(
                        self.dev,
                        "leak confirmed: buffer {} of {} bytes, {} s old, by {}[{}], {}\n",
                        leak.id,
                        leak.size,
                        leak.age / (1000 * NSEC_PER_MSEC),
                        leak.owner.comm(),
                        leak.owner.pid,
                        report::Reason(&leak)
                    );
                }
            });
        if confirmed > LOGGED_AT_ONCE {
            dev_warn!(
                self.dev,
                "{} more leaks confirmed\n",
                confirmed - LOGGED_AT_ONCE
            );
        }
        changed
    }

    fn passed(&self, tracked: &Tracked, state: LeakState, now: i64) {
        tracked.set_state(state);
        self.trace_leak(tracked, state as u32, now);
    }
}

impl Stats {
    /// Logs the oldest buffers that are alive, at most [`LOGGED_AT_ONCE`].
    pub(super) fn log_alive(&self) {
        let Ok(leaks) = self.list(&LeakState::ALL, |_| true) else {
            return;
        };

        for leak in leaks.iter().take(LOGGED_AT_ONCE) {
            dev_warn!(
                self.dev,
                "still alive: buffer {} of {} bytes by {}[{}], {}\n",
                leak.id,
                leak.size,
                leak.owner.comm(),
                leak.owner.pid,
                report::Reason(leak)
            );
        }
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/memory_stats/leak_check.rs"]
mod kunit;
