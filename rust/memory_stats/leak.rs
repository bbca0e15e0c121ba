// SPDX-License-Identifier: GPL-2.0

//! The leak detector: every buffer is tracked from its creation until it is freed; age makes it
//! *suspected*, then *confirmed*, once each.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};

use crate::{
    bo::{
        domain_and_visible,
        BoDriver,
        BoParam,
        Domain, //
    },
    sys::{
        generations::Generations,
        process::Process,
        stack::Trace, //
    },
    ttm::{
        Holder,
        Locked, //
    }, //
};

/// Not old enough to be suspected.
pub(crate) const YOUNG: usize = 0;
/// Alive for so long that it may have been forgotten.
pub(crate) const SUSPECTED: usize = 1;
/// Alive for so long that it counts as leaked.
pub(crate) const CONFIRMED: usize = 2;

/// All tracked buffers.
pub(crate) type Tracker = Generations<Tracked, 3>;

/// A tracked buffer: freed, it is not tracked any more.
#[cfg(not(pddgpu_no_stats))]
pub(crate) type Tracking = crate::sys::generations::Member<Tracked, 3>;

/// A buffer that is not tracked.
#[cfg(pddgpu_no_stats)]
pub(crate) type Tracking = Tracked;

/// What is known of a tracked buffer.
pub(crate) struct Tracked {
    /// A number that no other buffer of the card has had.
    pub(crate) id: u64,
    /// What was asked for.
    pub(crate) param: BoParam,
    /// When it was created, in ns of the statistics' clock.
    pub(crate) created: i64,
    /// Who created it.
    pub(crate) owner: Owner,
    /// The calls that created it, if they are kept.
    pub(crate) trace: Trace,
    state: Atomic<u32>,
    placement: Atomic<u32>,
    visible: Atomic<i64>,
    handles: Atomic<i32>,
    mappings: Atomic<i32>,
    exports: Atomic<i32>,
}

/// Who created a buffer.
#[derive(Clone, Copy, Default)]
pub(crate) struct Owner {
    /// Number of the DRM client.
    pub(crate) client: u64,
    /// Process ID in the initial namespace.
    pub(crate) pid: i32,
    /// Name of the process, padded with zeroes.
    pub(crate) comm: [u8; 16],
}

impl Owner {
    /// The calling process, for a DRM client.
    pub(super) fn current(client: u64) -> Self {
        if cfg!(pddgpu_no_stats) {
            return Self::default();
        }

        let process = Process::current();
        Self {
            client,
            pid: process.pid,
            comm: process.comm,
        }
    }

    /// The name of the process.
    pub(crate) fn comm(&self) -> &str {
        CStr::from_bytes_until_nul(&self.comm)
            .ok()
            .and_then(|comm| comm.to_str().ok())
            .unwrap_or("-")
    }
}

impl Tracked {
    pub(super) fn new(
        id: u64,
        param: BoParam,
        created: i64,
        owner: Owner,
        trace: Trace,
    ) -> impl Init<Self> {
        init!(Self {
            id,
            param,
            created,
            owner,
            trace,
            state: Atomic::new(0),
            placement: Atomic::new(0),
            visible: Atomic::new(0),
            handles: Atomic::new(0),
            mappings: Atomic::new(0),
            exports: Atomic::new(0),
        })
    }

    /// The domain the buffer is in now, 0 if it is in none.
    pub(super) fn placement(&self) -> u32 {
        self.placement.load(Relaxed)
    }

    /// The buffer is in a state of the leak detector now.
    pub(super) fn set_state(&self, state: u32) {
        self.state.store(state, Relaxed);
    }

    /// The state of the leak detector that the buffer is in, 0 for a young one.
    pub(super) fn state(&self) -> u32 {
        self.state.load(Relaxed)
    }

    /// The buffer is there now.
    pub(crate) fn placed(&self, bo: &Locked<'_, BoDriver>) {
        if cfg!(pddgpu_no_stats) {
            return;
        }

        let (domain, visible) = domain_and_visible(bo);
        let domain = domain.map_or(0, |domain| domain as u32);

        self.placement.store(domain, Relaxed);
        // CAST: No buffer has 2^63 bytes.
        self.visible.store(visible as i64, Relaxed);
    }

    /// One more, or one less, keeps the buffer alive.
    pub(crate) fn held(&self, by: Holder, delta: i32) {
        if cfg!(pddgpu_no_stats) {
            return;
        }

        let count = match by {
            Holder::Handle => &self.handles,
            Holder::Mapping => &self.mappings,
            Holder::Export => &self.exports,
        };
        count.add(delta, Relaxed);
    }
}

/// What a report says about a tracked buffer, as of one moment.
#[derive(Clone, Copy)]
pub(crate) struct Leak {
    /// A number that no other buffer of the card has had.
    pub(crate) id: u64,
    /// Bytes.
    pub(crate) size: u64,
    /// What was asked for.
    pub(crate) param: BoParam,
    /// ns since it was created.
    pub(crate) age: i64,
    /// Who created it.
    pub(crate) owner: Owner,
    /// The calls that created it, if they are kept.
    pub(crate) trace: Trace,
    /// [`YOUNG`], [`SUSPECTED`] or [`CONFIRMED`].
    pub(crate) state: usize,
    /// Where it is.
    pub(crate) domain: Option<Domain>,
    /// Bytes of it that the CPU can reach.
    pub(crate) visible: u64,
    /// Handles open to it.
    pub(crate) handles: u32,
    /// Its CPU mappings.
    pub(crate) mappings: u32,
    /// The dma-bufs made of it.
    pub(crate) exports: u32,
}

impl Leak {
    pub(super) fn of(tracked: &Tracked, state: usize, now: i64) -> Self {
        let read = |count: &Atomic<i32>| u32::try_from(count.load(Relaxed)).unwrap_or(0);

        Self {
            id: tracked.id,
            size: tracked.param.size,
            param: tracked.param,
            age: now - tracked.created,
            owner: tracked.owner,
            trace: tracked.trace,
            state,
            domain: Domain::try_from(tracked.placement.load(Relaxed)).ok(),
            visible: u64::try_from(tracked.visible.load(Relaxed)).unwrap_or(0),
            handles: read(&tracked.handles),
            mappings: read(&tracked.mappings),
            exports: read(&tracked.exports),
        }
    }

    /// Whether nothing is known that keeps it alive.
    pub(crate) fn is_orphaned(&self) -> bool {
        self.handles == 0 && self.mappings == 0 && self.exports == 0
    }
}

/// A tracked buffer's place in the lists, for the buffer to keep.
#[cfg(not(pddgpu_no_stats))]
pub(super) fn track(tracker: Arc<Tracker>, tracked: impl Init<Tracked>) -> impl PinInit<Tracking> {
    crate::sys::generations::Member::new(tracker, tracked)
}

#[cfg(pddgpu_no_stats)]
pub(super) fn track(_tracker: Arc<Tracker>, tracked: impl Init<Tracked>) -> impl PinInit<Tracking> {
    tracked
}
