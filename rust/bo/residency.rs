// SPDX-License-Identifier: GPL-2.0

//! How long a buffer that was displaced from VRAM is left alone: twice as long each time, if it was not
//! in VRAM for long.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

use crate::abstractions::time::{
    jiffies,
    jiffies_to_ns, //
};

/// ms for which a buffer is left alone that was displaced.
const FIRST_WAIT: u32 = 100;
/// The longest such time in ms.
const LONGEST_WAIT: u32 = 60_000;
/// ms in VRAM after which a buffer that is displaced again waits as if it was the first time.
const SETTLED: u64 = 10_000;

/// What is kept with each buffer for its way back.
pub(super) struct Residency {
    /// Whether it counts as displaced.
    is_displaced: Atomic<bool>,
    /// Whether it has left VRAM because the CPU could not reach it there.
    for_cpu: Atomic<bool>,
    /// Whether it has left VRAM because the card was going to lose that.
    evacuated: Atomic<bool>,
    /// ms for which it waits.
    wait: Atomic<u32>,
    /// When it may go back, in ms since boot.
    not_before: Atomic<u64>,
    /// When it came back, in ms since boot.
    returned: Atomic<u64>,
}

/// ms since boot, roughly.
pub(super) fn now() -> u64 {
    jiffies_to_ns(jiffies()) / 1_000_000
}

impl Residency {
    pub(super) const fn new() -> Self {
        Self {
            is_displaced: Atomic::new(false),
            for_cpu: Atomic::new(false),
            evacuated: Atomic::new(false),
            wait: Atomic::new(0),
            not_before: Atomic::new(0),
            returned: Atomic::new(0),
        }
    }

    /// Whether it counts as displaced.
    pub(super) fn is_displaced(&self) -> bool {
        self.is_displaced.load(Relaxed)
    }

    /// Notes whether it counts as displaced. Returns whether it did not before, or did.
    pub(super) fn set_displaced(&self, is_displaced: bool) -> bool {
        // Mostly it stays as it is, which is to cost next to nothing.
        self.is_displaced() != is_displaced
            && self.is_displaced.xchg(is_displaced, Relaxed) != is_displaced
    }

    /// Whether it has left VRAM because the CPU could not reach it there.
    pub(super) fn is_for_cpu(&self) -> bool {
        self.for_cpu.load(Relaxed)
    }

    /// Notes that it has left VRAM only because the card was going to lose that. It may go back at once.
    pub(super) fn set_evacuated(&self) {
        self.reset();
        self.evacuated.store(true, Relaxed);
    }

    /// Whether the driver may bring it back by itself.
    ///
    /// A kernel that charges VRAM to cgroups charges it to that of the worker, and so would let clients
    /// have more than their limits. So there only what was evacuated comes back.
    pub(super) fn may_return(&self) -> bool {
        !cfg!(CONFIG_CGROUP_DMEM) || self.evacuated.load(Relaxed)
    }

    /// Notes that it came back.
    pub(super) fn came_back(&self, now: u64) {
        self.evacuated.store(false, Relaxed);
        self.returned.store(now, Relaxed);
    }

    /// Notes that the buffer is moved because the CPU cannot reach it in VRAM.
    pub(super) fn set_for_cpu(&self) {
        self.for_cpu.store(true, Relaxed);
    }

    /// Forgets what was: it may go back at once.
    pub(super) fn reset(&self) {
        self.for_cpu.store(false, Relaxed);
        self.evacuated.store(false, Relaxed);
        self.wait.store(0, Relaxed);
        self.not_before.store(0, Relaxed);
        self.returned.store(0, Relaxed);
    }

    /// Notes that it has left VRAM.
    pub(super) fn left(&self, now: u64) {
        let is_soon = now < self.returned.load(Relaxed).saturating_add(SETTLED);
        let wait = match self.wait.load(Relaxed) {
            wait if is_soon => (2 * wait).clamp(FIRST_WAIT, LONGEST_WAIT),
            _ => FIRST_WAIT,
        };

        self.put_off(now, wait);
    }

    /// Notes that there was no place for it.
    pub(super) fn found_no_place(&self, now: u64) {
        self.put_off(
            now,
            (2 * self.wait.load(Relaxed)).clamp(FIRST_WAIT, LONGEST_WAIT),
        );
    }

    fn put_off(&self, now: u64, wait: u32) {
        self.wait.store(wait, Relaxed);
        self.not_before.store(now + u64::from(wait), Relaxed);
    }

    /// ms that are left until it may go back.
    pub(super) fn left_to_wait(&self, now: u64) -> u64 {
        self.not_before.load(Relaxed).saturating_sub(now)
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/bo/residency.rs"]
mod kunit;
