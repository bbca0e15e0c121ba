// SPDX-License-Identifier: GPL-2.0

//! Clocks that cost next to nothing.
//!
//! C headers: [`include/linux/jiffies.h`](srctree/include/linux/jiffies.h),
//! [`include/linux/sched/clock.h`](srctree/include/linux/sched/clock.h)

use core::ptr::addr_of;

use crate::bindings::raw as bindings;

/// A clock for durations: the processor's cycle counter where the kernel trusts it to run evenly, and
/// `local_clock()` where not.
///
/// Two times are worth comparing while the machine was not suspended in between.
pub(crate) struct Stopwatch {
    /// ns a cycle takes, times 2^32; 0 for `local_clock()`.
    ns_per_cycle: u64,
}

impl Stopwatch {
    /// The cheapest clock that can be trusted.
    pub(crate) fn new() -> Self {
        Self {
            ns_per_cycle: ns_per_cycle().unwrap_or(0),
        }
    }

    /// The time, in ns since some moment.
    #[inline(always)]
    pub(crate) fn now(&self) -> i64 {
        let ns = if self.ns_per_cycle == 0 {
            // SAFETY: May be called anywhere.
            unsafe { bindings::local_clock() }
        } else {
            // SAFETY: May be called anywhere.
            let cycles = unsafe { bindings::get_cycles() };

            // CAST: Below 2^64, as the counter would have to run for centuries.
            ((u128::from(cycles) * u128::from(self.ns_per_cycle)) >> 32) as u64
        };

        // CAST: 2^63 ns are 292 years.
        ns as i64
    }
}

#[cfg(CONFIG_X86_TSC)]
fn ns_per_cycle() -> Option<u64> {
    // SAFETY: Both only read what was measured at boot.
    let khz = unsafe {
        if bindings::check_tsc_unstable() != 0 {
            return None;
        }
        u64::from(addr_of!(bindings::tsc_khz).read())
    };

    (1_000_000u64 << 32).checked_div(khz)
}

#[cfg(not(CONFIG_X86_TSC))]
fn ns_per_cycle() -> Option<u64> {
    None
}

/// Jiffies since boot: coarse, but never going back, whatever happens to cycle counters.
pub(crate) fn jiffies() -> u64 {
    // SAFETY: Changes under our eyes, in one piece on 64-bit machines, which is all DRM drivers of
    // cards with that much memory are for.
    unsafe { addr_of!(bindings::jiffies_64).read_volatile() }
}

/// ns that many jiffies take, or as many as there are.
pub(crate) fn jiffies_to_ns(jiffies: u64) -> u64 {
    jiffies.saturating_mul(u64::from(bindings::HZ_TO_NSEC_NUM))
        / u64::from(bindings::HZ_TO_NSEC_DEN)
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/abstractions/time.rs"]
mod kunit;
