// SPDX-License-Identifier: GPL-2.0

//! What a client claims of VRAM beside what it has.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

use crate::abstractions::task;

/// What a client has reserved, and what it is asking for.
pub(super) struct Claim {
    /// Bytes of VRAM.
    reservation: Atomic<u64>,
    /// Bytes of VRAM that calls being served are to get.
    asking: Atomic<i64>,
    /// The thread that began the last of these calls.
    thread: Atomic<i32>,
}

impl Claim {
    /// Nothing.
    pub(super) const fn new() -> Self {
        Self {
            reservation: Atomic::new(0),
            asking: Atomic::new(0),
            thread: Atomic::new(0),
        }
    }

    /// Bytes that are reserved.
    pub(super) fn reservation(&self) -> u64 {
        self.reservation.load(Relaxed)
    }

    /// Reserves so many bytes instead.
    pub(super) fn reserve(&self, bytes: u64) {
        self.reservation.store(bytes, Relaxed);
    }

    /// Notes that the calling thread asks for VRAM.
    pub(super) fn ask(&self, bytes: u64) {
        // CAST: No buffer has 2^63 bytes.
        self.asking.fetch_add(bytes as i64, Relaxed);
        self.thread.store(task::thread(), Relaxed);
    }

    /// Notes that a thread has what it [asked](Self::ask) for, or does not get it.
    pub(super) fn end_asking(&self, bytes: u64) {
        // CAST: No buffer has 2^63 bytes.
        self.asking.fetch_add(-(bytes as i64), Relaxed);
    }

    /// Bytes that are asked for.
    pub(super) fn asking(&self) -> u64 {
        u64::try_from(self.asking.load(Relaxed)).unwrap_or(0)
    }

    /// As [`asking`](Self::asking), if it is the calling thread that asks.
    pub(super) fn asking_here(&self) -> u64 {
        if self.thread.load(Relaxed) == task::thread() {
            self.asking()
        } else {
            0
        }
    }
}
