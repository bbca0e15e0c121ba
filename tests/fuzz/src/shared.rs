// SPDX-License-Identifier: GPL-2.0

//! Memory that all processes of the fuzzer share.

use std::{
    mem::size_of,
    ptr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use anyhow::{ensure, Result};

/// Programs under test that run at the same time.
pub const PROGRAMS: usize = 4;
/// Threads of each of them.
pub const THREADS: usize = 2;
/// Threads of all of them.
pub const STREAMS: usize = PROGRAMS * THREADS;

/// The number of the administrator's stream, which comes after those of the threads.
pub const ADMINISTRATOR: usize = STREAMS;

/// Kinds of operations that there is room for.
const KINDS: usize = 96;

/// How far everybody is.
pub struct Shared {
    /// Changes as long as somebody works.
    pub alive: AtomicU64,
    /// System calls that were made.
    pub calls: AtomicU64,
    /// ns that the operations of each kind took.
    pub times: [AtomicU64; KINDS],
    /// How often there was one of each kind.
    pub counts: [AtomicU64; KINDS],
    /// Operations that each stream has begun in this round.
    pub begun: [AtomicU64; STREAMS + 1],
    /// Processes of the programs under test.
    pub programs: [AtomicU64; STREAMS],
}

impl Shared {
    /// Makes it. It stays for as long as the process lives.
    ///
    /// # Errors
    ///
    /// If there is no memory.
    pub fn new() -> Result<&'static Self> {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: The kernel chooses a free address.
        let memory = unsafe { libc::mmap(ptr::null_mut(), size_of::<Self>(), prot, flags, -1, 0) };
        ensure!(memory != libc::MAP_FAILED, "no shared memory");
        // SAFETY: The memory has room for it, is never unmapped, and all zeroes are valid.
        Ok(unsafe { &*memory.cast::<Self>() })
    }

    /// Starts a round.
    pub fn start(&self) {
        for begun in &self.begun {
            begun.store(0, Relaxed);
        }
    }

    /// Operations that the threads have begun in this round.
    pub fn progress(&self) -> u64 {
        let threads = &self.begun[..STREAMS];
        threads.iter().map(|begun| begun.load(Relaxed)).sum()
    }
}
