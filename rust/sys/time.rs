// SPDX-License-Identifier: GPL-2.0

//! The cheapest clock there is.
//!
//! C header: [`include/linux/sched/clock.h`](srctree/include/linux/sched/clock.h)

use crate::bindings::raw as bindings;

/// ns since boot, suspend apart (`local_clock()`). On one processor it never goes back; from one to
/// another it may by less than a tick.
pub(crate) fn local_clock() -> i64 {
    // SAFETY: May be called anywhere.
    let now = unsafe { bindings::local_clock() };

    // CAST: 2^63 ns are 292 years.
    now as i64
}
