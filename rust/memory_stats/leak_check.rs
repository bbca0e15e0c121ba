// SPDX-License-Identifier: GPL-2.0

//! Looking for leaks: what has been alive for too long, in lists and in the log.

use kernel::prelude::*;

use super::{
    counters::Counter,
    leak::{
        Leak,
        Tracked,
        CONFIRMED,
        SUSPECTED,
        YOUNG, //
    },
    report,
    MemoryStats,
    Stats,
    NSEC_PER_MSEC, //
};
use crate::trace;

/// Leaks that one check logs one by one.
const LOGGED_AT_ONCE: usize = 10;

impl MemoryStats {
    /// The suspected and confirmed leaks, oldest first.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn leak_list(&self) -> Result<KVVec<Leak>> {
        self.list(&[CONFIRMED, SUSPECTED], |_| true)
    }

    /// The buffers in `states` that `wanted` chooses, oldest first.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn list(
        &self,
        states: &[usize],
        wanted: impl Fn(&Leak) -> bool,
    ) -> Result<KVVec<Leak>> {
        let now = self.clock.coarse();
        let mut leaks = KVVec::new();

        for &state in states {
            let copy =
                |tracked: &Tracked| Some(Leak::of(tracked, state, now)).filter(|leak| wanted(leak));
            self.tracker.snapshot(state, copy, &mut leaks)?;
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

        self.tracker
            .advance(YOUNG, older(&self.suspected_after), |tracked| {
                changed += 1;
                self.passed(tracked, trace::LEAK_SUSPECTED, now);
            });
        self.tracker
            .advance(SUSPECTED, older(&self.confirmed_after), |tracked| {
                changed += 1;
                confirmed += 1;
                self.passed(tracked, trace::LEAK_CONFIRMED, now);
                if confirmed <= LOGGED_AT_ONCE {
                    let leak = Leak::of(tracked, CONFIRMED, now);

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

    fn passed(&self, tracked: &Tracked, state: u32, now: i64) {
        tracked.set_state(state);
        self.trace_leak(tracked, state, now);
    }

    pub(super) fn trace_leak(&self, tracked: &Tracked, state: u32, now: i64) {
        trace::leak(
            &self.dev,
            tracked.id,
            tracked.param.size,
            state,
            ((now - tracked.created) / NSEC_PER_MSEC).unsigned_abs(),
            tracked.owner.pid,
            &tracked.owner.comm,
        );
    }
}

impl Stats {
    /// Logs the oldest of what is alive.
    pub(super) fn log_alive(&self) {
        let Ok(leaks) = self.list(&[CONFIRMED, SUSPECTED, YOUNG], |_| true) else {
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
#[path = "../../tests/kunit/leak_check.rs"]
mod kunit;
