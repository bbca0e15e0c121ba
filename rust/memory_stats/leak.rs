// SPDX-License-Identifier: GPL-2.0

//! The leak detector's view of a buffer.
//!
//! Every buffer is tracked from its creation until it is freed. A buffer starts as *young*. When it
//! has reached a certain age it becomes *suspected*, and later *confirmed*. It passes through each
//! state once and never goes back. Age alone does not prove a leak, so each report also says what
//! keeps the buffer alive: handles, CPU mappings or dma-bufs. A buffer with none of these is
//! *orphaned*.
//!
//! `leak_check.rs` has the periodic check that changes the states, and `leak_walk.rs` what the
//! reports read.

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
    abstractions::{
        aging_list::{
            self,
            Aged,
            AgingList, //
        },
        stackdepot::Trace,
        task::{
            has_exited,
            Process, //
        },
        ttm::RefKind, //
    },
    memory_stats::label::{
        Label,
        LabelCell, //
    },
    uapi::{
        self,
        BoParam,
        Domain, //
    }, //
};

/// The state of a buffer in the leak detector. It depends on the buffer's age. A buffer passes
/// through the states in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum LeakState {
    /// Younger than the age of a suspected leak.
    Young = 0,
    /// Old enough for a suspected leak.
    Suspected = uapi::PDDGPU_LEAK_SUSPECTED,
    /// Old enough for a confirmed leak.
    Confirmed = uapi::PDDGPU_LEAK_CONFIRMED,
}

impl LeakState {
    /// All states, the one of the oldest buffers first.
    pub(crate) const ALL: [Self; 3] = [Self::Confirmed, Self::Suspected, Self::Young];

    /// The state's name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Young => "young",
            Self::Suspected => "suspected",
            Self::Confirmed => "confirmed",
        }
    }

    /// The state of the members of a generation of the [`Tracker`].
    pub(super) fn from_generation(generation: usize) -> Self {
        match generation {
            0 => Self::Young,
            1 => Self::Suspected,
            _ => Self::Confirmed,
        }
    }

    /// The generation of the [`Tracker`] whose members are in this state.
    pub(super) fn generation(self) -> usize {
        // CAST: The states count from 0.
        self as usize
    }
}

/// All tracked buffers, by [`LeakState`].
pub(crate) type Tracker = AgingList<Tracked, { LeakState::ALL.len() }>;

/// A buffer's entry in the lists. Dropping it ends the tracking.
#[cfg(not(pddgpu_no_stats))]
pub(crate) type Tracking = aging_list::Node<Tracked, { LeakState::ALL.len() }>;

/// Without statistics, the entry of a buffer is in no list.
#[cfg(pddgpu_no_stats)]
pub(crate) type Tracking = Tracked;

/// What the leak detector knows about a buffer.
pub(crate) struct Tracked {
    /// A number that no other buffer of the card has had.
    pub(crate) id: u64,
    /// The arguments of its creation.
    pub(crate) param: BoParam,
    /// When it was created, in ns of the statistics' coarse clock.
    pub(crate) created: i64,
    /// The process that created it.
    pub(crate) owner: Owner,
    /// The stack trace of its creation, if traces are saved.
    pub(crate) trace: Trace,
    state: Atomic<u32>,
    placement: Atomic<u32>,
    visible: Atomic<i64>,
    handles: Atomic<i32>,
    mappings: Atomic<i32>,
    exports: Atomic<i32>,
    mmap_offset: Atomic<u64>,
    dma_buf: Atomic<u64>,
    label: LabelCell,
}

impl Aged for Tracked {
    /// The process that created the buffer.
    type Group = i32;

    fn group(&self) -> i32 {
        self.owner.pid
    }

    fn serial(&self) -> u64 {
        self.id
    }

    fn weight(&self) -> u64 {
        self.param.size
    }
}

/// The process that created a buffer.
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
    /// The calling process, which acts for DRM client `client`.
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
            mmap_offset: Atomic::new(0),
            dma_buf: Atomic::new(0),
            label: LabelCell::new(),
        })
    }

    /// Notes the offset at which DRM files have the buffer.
    pub(crate) fn set_mmap_offset(&self, offset: u64) {
        self.mmap_offset.store(offset, Relaxed);
    }

    /// Notes the inode number of the dma-buf that the buffer has now; 0 if it has none.
    pub(crate) fn set_dma_buf(&self, inode: u64) {
        self.dma_buf.store(inode, Relaxed);
    }

    /// The inode number of the dma-buf that the buffer has now; 0 if it has none.
    pub(crate) fn dma_buf(&self) -> u64 {
        self.dma_buf.load(Relaxed)
    }

    /// Sets the buffer's name. Nobody else sets it meanwhile.
    pub(super) fn set_label(&self, label: &Label) {
        self.label.set(label);
    }

    /// The buffer's name.
    pub(crate) fn label(&self) -> Label {
        self.label.get()
    }

    /// The domain the buffer is in now as user space knows it, 0 if it is in none.
    pub(super) fn placement(&self) -> u32 {
        self.placement.load(Relaxed)
    }

    /// Records that the buffer has grown old enough for `state`.
    pub(super) fn set_state(&self, state: LeakState) {
        self.state.store(state as u32, Relaxed);
    }

    /// Whether the buffer was suspected to be leaked at some time.
    pub(super) fn was_suspected(&self) -> bool {
        self.state.load(Relaxed) != LeakState::Young as u32
    }

    /// Notes that the buffer is in `domain` now, where the CPU can access `visible` bytes of it.
    /// [`None`] stands for a buffer without memory.
    pub(crate) fn placed(&self, domain: Option<Domain>, visible: u64) {
        if cfg!(pddgpu_no_stats) {
            return;
        }

        let domain = domain.map_or(0, |domain| domain as u32);

        self.placement.store(domain, Relaxed);
        // CAST: No buffer has 2^63 bytes.
        self.visible.store(visible as i64, Relaxed);
    }

    /// Counts a reference that keeps the buffer alive.
    pub(crate) fn ref_added(&self, kind: RefKind) {
        if !cfg!(pddgpu_no_stats) {
            self.refs(kind).add(1, Relaxed);
        }
    }

    /// Counts a reference that does not keep the buffer alive any more.
    pub(crate) fn ref_dropped(&self, kind: RefKind) {
        if !cfg!(pddgpu_no_stats) {
            self.refs(kind).add(-1, Relaxed);
        }
    }

    fn refs(&self, kind: RefKind) -> &Atomic<i32> {
        match kind {
            RefKind::Handle => &self.handles,
            RefKind::Mapping => &self.mappings,
            RefKind::Export => &self.exports,
        }
    }
}

/// A copy of what the leak detector knows about a buffer, for a report.
#[derive(Clone, Copy)]
pub(crate) struct Leak {
    /// A number that no other buffer of the card has had.
    pub(crate) id: u64,
    /// Bytes of the buffer.
    pub(crate) size: u64,
    /// The arguments of its creation.
    pub(crate) param: BoParam,
    /// ns since it was created.
    pub(crate) age: i64,
    /// The process that created it.
    pub(crate) owner: Owner,
    /// The stack trace of its creation, if traces are saved.
    pub(crate) trace: Trace,
    /// Its state in the leak detector.
    pub(crate) state: LeakState,
    /// The domain it is in; [`None`] if it has no memory.
    pub(crate) domain: Option<Domain>,
    /// Bytes of it that the CPU can access where they are now.
    pub(crate) visible: u64,
    /// Number of handles.
    pub(crate) handles: u32,
    /// Number of CPU mappings.
    pub(crate) mappings: u32,
    /// Number of dma-bufs.
    pub(crate) exports: u32,
    /// Offset at which DRM files have it.
    pub(crate) mmap_offset: u64,
    /// Inode number of its dma-buf; 0 if it has none.
    pub(crate) dma_buf: u64,
    /// Its name.
    pub(crate) label: Label,
}

impl Leak {
    /// A copy of what is known of a buffer at `now`, in ns of the statistics' clock.
    pub(super) fn new(tracked: &Tracked, state: LeakState, now: i64) -> Self {
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
            mmap_offset: tracked.mmap_offset.load(Relaxed),
            dma_buf: tracked.dma_buf(),
            label: tracked.label(),
        }
    }

    /// Whether the process that created it has ended.
    pub(crate) fn creator_exited(&self) -> bool {
        has_exited(self.owner.pid, self.age)
    }

    /// Whether it has no handle, no CPU mapping and no dma-buf.
    pub(crate) fn is_orphaned(&self) -> bool {
        self.handles == 0 && self.mappings == 0 && self.exports == 0
    }
}

/// Initialises a buffer's entry in the lists.
#[cfg(not(pddgpu_no_stats))]
pub(super) fn track(tracker: Arc<Tracker>, tracked: impl Init<Tracked>) -> impl PinInit<Tracking> {
    Tracking::new(tracker, tracked)
}

#[cfg(pddgpu_no_stats)]
pub(super) fn track(_tracker: Arc<Tracker>, tracked: impl Init<Tracked>) -> impl PinInit<Tracking> {
    tracked
}
