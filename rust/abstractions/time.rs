// SPDX-License-Identifier: GPL-2.0

//! Two clocks that are cheap to read: a precise one for durations, and jiffies.
//!
//! [`kernel::time::Instant`] calls the timekeeping core, which takes longer: with it, the
//! statistics would exceed the 2 % of a creation that they may take.
//!
//! C headers: [`include/linux/jiffies.h`](srctree/include/linux/jiffies.h),
//! [`include/linux/sched/clock.h`](srctree/include/linux/sched/clock.h)

use core::ptr::addr_of;

use crate::bindings::raw as bindings;

/// A clock for durations: the processor's cycle counter if the kernel considers it stable, or else
/// `local_clock()`.
///
/// The difference of two readings has no meaning if the machine was suspended in between.
pub(crate) struct Stopwatch {
    /// Duration of a cycle, in ns times 2^32; 0 to use `local_clock()`.
    ns_per_cycle: u64,
}

impl Stopwatch {
    /// The cycle counter if it is stable, or else `local_clock()`.
    pub(crate) fn new() -> Self {
        Self {
            ns_per_cycle: ns_per_cycle().unwrap_or(0),
        }
    }

    /// The time, in ns. Only differences have a meaning.
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

/// The jiffies counter. It is coarse but monotonic, on any machine.
pub(crate) fn jiffies() -> u64 {
    // SAFETY: The counter is always initialised. It changes concurrently, so the read is volatile.
    // A 64-bit machine, which the driver requires, reads it in one access.
    unsafe { addr_of!(bindings::jiffies_64).read_volatile() }
}

/// Converts jiffies to ns. The result saturates.
pub(crate) fn jiffies_to_ns(jiffies: u64) -> u64 {
    jiffies.saturating_mul(u64::from(bindings::HZ_TO_NSEC_NUM))
        / u64::from(bindings::HZ_TO_NSEC_DEN)
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/abstractions/time.rs"]
mod kunit;
