// SPDX-License-Identifier: GPL-2.0

//! Room for buffers when memory is full.
//!
//! TTM evicts buffers to make room. It leaves out those that somebody else has locked, and what it
//! frees may be taken by whoever is faster. So everyone who may evict passes the turnstile of the
//! card: at first together with others and, if there was no room, alone. Who is alone waits for the
//! locks of others, and nobody takes the room that is being made. The turnstile is passed in the
//! order of arrival, so that everyone gets a turn.
//!
//! Who has to wait for room that others have is held up by a shortage of memory, and shows in
//! `/proc/pressure/memory`.
//!
//! Lock order: the turnstile comes before resv. `mmap_lock` may be held.

use kernel::{
    prelude::*,
    sync::atomic::Relaxed,
    time::{
        delay::fsleep,
        Delta, //
    }, //
};
use pin_init::stack_pin_init;

use crate::{
    abstractions::{
        psi::MemoryStall,
        time::{
            jiffies,
            jiffies_to_ns, //
        },
        ttm::{
            self,
            AcquireCtx,
            Locked,
            MemType,
            Reserved, //
        }, //
    },
    bo::object::{
        Bo,
        BoDriver, //
    },
    client::{
        Asking,
        Client,
        Content,
        Victims, //
    },
    device::Pddgpu, //
};

/// ns for which buffers are evicted that others still use.
const PATIENCE: u64 = 15_000_000_000;
/// How often what is just being freed is waited for.
const FREES: u32 = 8;

/// VRAM that an operation needs for a client.
#[derive(Clone, Copy)]
pub(super) struct Want<'a> {
    pub(super) client: &'a Client,
    pub(super) bytes: u64,
}

impl<'a> Want<'a> {
    /// Notes that it is asked for. What is not free has to come from somebody.
    fn ask(&self, pdev: &Pddgpu) -> Asking<'a> {
        pdev.budgets
            .ask(self.client, self.bytes, pdev.vram.usable_now())
    }

    fn is_free(&self, pdev: &Pddgpu) -> bool {
        ttm::usage(&pdev.bdev, MemType::Vram) + self.bytes <= pdev.vram.usable_now()
    }
}

/// How an operation may get room.
#[derive(Clone, Copy)]
pub(super) enum Room<'a> {
    /// From what is free, and from buffers that nobody has locked.
    Easy {
        /// Whether the client is within its budget, so that others have to make room for it.
        entitled: bool,
    },
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
            Self::Easy { .. } => bo.reserve(),
            Self::Contended(acquire) => bo.reserve_in(acquire),
        }
    }
}

/// Calls `f`, which may evict buffers. If it fails with `ENOSPC`, it is called again when nobody else
/// takes room; then so that it may evict buffers of clients that are within their budgets, and at last
/// also those that other devices still use. `want` is what it needs of VRAM.
///
/// # Errors
///
/// Those of `f`; `ERESTARTSYS` on a signal while it waits for its turn; `ENOMEM`.
pub(super) fn make_room<R>(
    pdev: &Pddgpu,
    want: Option<Want<'_>>,
    mut f: impl FnMut(Room<'_>) -> Result<R>,
) -> Result<R> {
    {
        let _passage = pdev.turnstile.shared()?;
        let asking = want
            .filter(|want| !want.is_free(pdev))
            .map(|want| want.ask(pdev));
        let _stall = asking.as_ref().map(|_| MemoryStall::begin());
        let entitled = asking
            .as_ref()
            .is_some_and(|asking| pdev.budgets.is_entitled(asking));

        match f(Room::Easy { entitled }) {
            Err(ENOSPC) => (),
            result => return result,
        }
    }

    let _stall = MemoryStall::begin();
    let _passage = pdev.turnstile.exclusive()?;
    let _asking = want.map(|want| want.ask(pdev));
    let mut contend = || {
        // Its end comes before any wait: a context counts as a resv that is held.
        stack_pin_init!(let acquire = AcquireCtx::new());

        f(Room::Contended(&acquire))
    };

    match contend() {
        Err(ENOSPC) => (),
        result => return result,
    }
    pdev.budgets.set_victims(Victims::Everyone);
    let result = evict_from_everyone(pdev, contend);
    pdev.budgets.set_victims(Victims::OverBudget);
    result
}

/// Calls `f`, which may evict buffers of all clients, until it finds room.
fn evict_from_everyone<R>(pdev: &Pddgpu, mut f: impl FnMut() -> Result<R>) -> Result<R> {
    for _ in 0..FREES {
        match f() {
            Err(ENOSPC) => (),
            result => return result,
        }
        // A buffer that is just losing its last reference cannot be evicted, until TTM has it on its
        // list of those to be freed. Who frees it needs time for that.
        fsleep(Delta::from_millis(1));
        pdev.bdev.wait_for_delayed_deletes();
    }

    // An eviction waits at most 15 s for the others (`ttm_bo_wait_ctx()`), and after the same time no
    // further one begins.
    let until = jiffies_to_ns(jiffies()) + PATIENCE;
    pdev.budgets.evict_used_until.store(until, Relaxed);
    let result = f();
    pdev.budgets.evict_used_until.store(0, Relaxed);
    result
}

/// Whether a buffer may be evicted from VRAM to make room there.
///
/// Of those of clients that have more than their budget the least recently used goes first. What a
/// client has reserved never goes, unless it is the client's own call that needs room. What nobody has
/// a handle of is kept for nobody.
pub(super) fn is_victim(bo: &Locked<'_, BoDriver>) -> bool {
    let pdev = bo.dev();
    let holders = &bo.object().holders;

    holders.content() != Content::Needed || !holders.any_client(|client| pdev.budgets.keeps(client))
}

/// Whether buffers may be evicted that others still use.
pub(super) fn may_evict_used(pdev: &Pddgpu) -> bool {
    jiffies_to_ns(jiffies()) < pdev.budgets.evict_used_until.load(Relaxed)
}
