// SPDX-License-Identifier: GPL-2.0

//! Looking for leaks: what has been alive for too long, in lists and in the log.

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

/// Leaks that one check logs one by one.
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

    /// The buffers in `states` that `wanted` chooses, oldest first.
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

    /// Has the buffers that are due grow suspect, and those suspected long enough be confirmed, which
    /// is logged. Tells how many buffers changed state.
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
    /// Logs the oldest of what is alive.
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
