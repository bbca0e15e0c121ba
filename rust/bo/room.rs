// SPDX-License-Identifier: GPL-2.0

//! Room for buffers when memory is full.
//!
//! TTM evicts buffers to make room. It leaves out those that somebody else has locked, and what it
//! frees may be taken by whoever is faster. So everyone who may evict passes the turnstile of the
//! card: at first together with others and, if there was no room, alone. Who is alone waits for the
//! locks of others, and nobody takes the room that is being made. The turnstile is passed in the
//! order of arrival, so that everyone gets a turn.
//!
//! Lock order: the turnstile comes before resv. `mmap_lock` may be held.

use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};
use pin_init::stack_pin_init;

use crate::{
    abstractions::{
        time::{
            jiffies,
            jiffies_to_ns, //
        },
        ttm::{
            AcquireCtx,
            Reserved, //
        }, //
    },
    bo::object::{
        Bo,
        BoDriver, //
    },
    device::Pddgpu, //
};

/// ns for which buffers are evicted that others still use.
const PATIENCE: u64 = 15_000_000_000;

/// How an operation may get room.
#[derive(Clone, Copy)]
pub(super) enum Room<'a> {
    /// From what is free, and from buffers that nobody has locked.
    Easy,
    /// From buffers that others have locked, too. The buffer is to be locked in this context.
    Contended(&'a AcquireCtx),
}

impl<'a> Room<'a> {
    /// Takes the resv of a buffer that needs room.
    ///
    /// # Errors
    ///
    /// `ERESTARTSYS` on a signal.
    pub(super) fn reserve(self, bo: &'a Bo) -> Result<Reserved<'a, BoDriver>> {
        match self {
            Self::Easy => bo.reserve(),
            Self::Contended(acquire) => bo.reserve_in(acquire),
        }
    }
}

/// Calls `f`, which may evict buffers. If it fails with `ENOSPC`, it is called again when nobody else
/// takes room, and then once more so that it may evict buffers that other devices still use, too.
///
/// # Errors
///
/// Those of `f`; `ERESTARTSYS` on a signal while it waits for its turn; `ENOMEM`.
pub(super) fn make_room<R>(pdev: &Pddgpu, mut f: impl FnMut(Room<'_>) -> Result<R>) -> Result<R> {
    {
        let _passage = pdev.turnstile.shared()?;

        match f(Room::Easy) {
            Err(ENOSPC) => (),
            result => return result,
        }
    }

    let _passage = pdev.turnstile.exclusive()?;
    stack_pin_init!(let acquire = AcquireCtx::new());

    match f(Room::Contended(&acquire)) {
        Err(ENOSPC) => (),
        result => return result,
    }

    // An eviction waits at most 15 s for the others (`ttm_bo_wait_ctx()`), and after the same time no
    // further one begins.
    let until = jiffies_to_ns(jiffies()) + PATIENCE;
    pdev.evict_used_until.store(until, Relaxed);
    let result = f(Room::Contended(&acquire));
    pdev.evict_used_until.store(0, Relaxed);
    result
}

/// Whether buffers may be evicted that others still use.
pub(super) fn may_evict_used(pdev: &Pddgpu) -> bool {
    jiffies_to_ns(jiffies()) < pdev.evict_used_until.load(Relaxed)
}
