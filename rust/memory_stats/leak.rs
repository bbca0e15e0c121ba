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
        BoParam,
        BoPlacement,
        Domain, //
    },
    sys::{
        generations::{
            Generations,
            Member, //
        },
        stack::Trace, //
    },
    ttm::Holder, //
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
pub(crate) type Tracking = Member<Tracked, 3>;

/// What is known of a tracked buffer.
pub(crate) struct Tracked {
    /// A number that no other buffer of the card has had.
    pub(crate) id: u64,
    /// Bytes.
    pub(crate) size: u64,
    /// What was asked for.
    pub(crate) param: BoParam,
    /// When it was created, in ns of the statistics' clock.
    pub(crate) created: i64,
    /// Who created it.
    pub(crate) owner: Owner,
    /// The calls that created it, if they are kept.
    pub(crate) trace: Trace,
    placement: Atomic<u32>,
    visible: Atomic<i64>,
    handles: Atomic<i32>,
    mappings: Atomic<i32>,
    exports: Atomic<i32>,
}

/// Who created a buffer.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    /// Number of the DRM client.
    pub(crate) client: u64,
    /// Process ID in the initial namespace.
    pub(crate) pid: i32,
    /// Name of the process, padded with zeroes.
    pub(crate) comm: [u8; 16],
}

impl Owner {
    /// The name of the process.
    pub(crate) fn comm(&self) -> &str {
        CStr::from_bytes_until_nul(&self.comm)
            .ok()
            .and_then(|comm| comm.to_str().ok())
            .unwrap_or("-")
    }
}

impl Tracked {
    pub(super) fn new(id: u64, param: BoParam, created: i64, owner: Owner, trace: Trace) -> Self {
        Self {
            id,
            size: param.size,
            param,
            created,
            owner,
            trace,
            placement: Atomic::new(0),
            visible: Atomic::new(0),
            handles: Atomic::new(0),
            mappings: Atomic::new(0),
            exports: Atomic::new(0),
        }
    }

    /// The buffer is there now.
    pub(crate) fn placed(&self, placement: &BoPlacement) {
        let domain = placement.domain.map_or(0, |domain| domain as u32);

        self.placement.store(domain, Relaxed);
        // CAST: No buffer has 2^63 bytes.
        self.visible.store(placement.visible as i64, Relaxed);
    }

    /// One more, or one less, keeps the buffer alive.
    pub(crate) fn held(&self, by: Holder, delta: i32) {
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
            size: tracked.size,
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
pub(super) fn track(tracker: Arc<Tracker>, tracked: Tracked) -> impl PinInit<Tracking> {
    Member::new(tracker, tracked)
}
