// SPDX-License-Identifier: GPL-2.0

//! What a client has of the card's memory and of its copy engine.

use core::ptr::from_ref;

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
    abstractions::drm::{
        EventSink,
        MemoryStats, //
    },
    client::{
        claim::Claim,
        events::Events,
        holding::ClientHolding, //
    },
    uapi::Domain, //
};

/// Bytes of one domain.
struct Bytes {
    total: Atomic<i64>,
    shared: Atomic<i64>,
    resident: Atomic<i64>,
    purgeable: Atomic<i64>,
    active: Atomic<i64>,
    displaced: Atomic<i64>,
}

impl Bytes {
    const fn new() -> Self {
        Self {
            total: Atomic::new(0),
            shared: Atomic::new(0),
            resident: Atomic::new(0),
            purgeable: Atomic::new(0),
            active: Atomic::new(0),
            displaced: Atomic::new(0),
        }
    }
}

/// What a buffer counts for in the figures of each client that has a handle of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// The domain it should be in.
    pub(super) wanted: Domain,
    /// The domain it is in; [`None`] if it has no memory.
    pub(super) place: Option<Domain>,
    /// Whether others have it, too.
    pub(super) shared: bool,
    /// Whether its content may be dropped.
    pub(super) purgeable: bool,
    /// Whether the card is at work on it.
    pub(super) active: bool,
}

/// A client.
#[pin_data]
pub(crate) struct Client {
    memory: [Bytes; Domain::ALL.len()],
    engine_time: Atomic<u64>,
    pub(super) claim: Claim,
    /// What of it belongs to the client in the books of the card.
    #[pin]
    pub(super) holding: ClientHolding,
    /// What it is told.
    #[pin]
    pub(crate) events: Events,
}

impl Client {
    /// A client without buffers, which is told things through `events`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(events: Arc<EventSink>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                memory: [const { Bytes::new() }; Domain::ALL.len()],
                engine_time: Atomic::new(0),
                claim: Claim::new(),
                holding <- ClientHolding::new(),
                events <- Events::new(events),
            }),
            GFP_KERNEL,
        )
    }

    /// Adds the time in ns that the copy engine has worked for it.
    pub(crate) fn add_engine_time(&self, ns: u64) {
        self.engine_time.fetch_add(ns, Relaxed);
    }

    /// ns for which the copy engine has worked for it.
    pub(crate) fn engine_time(&self) -> u64 {
        self.engine_time.load(Relaxed)
    }

    /// Bytes of the buffers that should be in a domain, and are not.
    pub(crate) fn displaced(&self, domain: Domain) -> u64 {
        read(&self.memory[domain.index()].displaced)
    }

    /// Bytes of its buffers in a domain. What it asked for counts where it wants its buffers to be,
    /// and all else where they are.
    pub(crate) fn memory(&self, domain: Domain) -> MemoryStats {
        let bytes = &self.memory[domain.index()];
        let total = read(&bytes.total);
        let shared = read(&bytes.shared).min(total);

        MemoryStats {
            shared,
            private: total - shared,
            resident: read(&bytes.resident),
            purgeable: read(&bytes.purgeable),
            active: read(&bytes.active),
        }
    }

    /// The figures that a buffer counts for.
    fn figures(&self, share: &Share) -> [Option<&Atomic<i64>>; 6] {
        let wanted = &self.memory[share.wanted.index()];
        let here = share.place.map(|place| &self.memory[place.index()]);
        let is_displaced = share.place != Some(share.wanted);

        [
            Some(&wanted.total),
            share.shared.then_some(&wanted.shared),
            is_displaced.then_some(&wanted.displaced),
            here.map(|here| &here.resident),
            here.filter(|_| share.purgeable).map(|here| &here.purgeable),
            here.filter(|_| share.active).map(|here| &here.active),
        ]
    }

    /// Has a buffer of `size` bytes count for what it is now, and no more for what it was before.
    /// [`None`] stands for a buffer that the client does not have. A figure that stays the same is
    /// not touched, so that nobody sees it change.
    pub(super) fn recount(&self, before: Option<&Share>, now: Option<&Share>, size: i64) {
        let figures = |share: Option<&Share>| share.map_or([None; 6], |share| self.figures(share));

        for (before, now) in figures(before).into_iter().zip(figures(now)) {
            if before.map(from_ref) == now.map(from_ref) {
                continue;
            }
            if let Some(now) = now {
                now.add(size, Relaxed);
            }
            if let Some(before) = before {
                before.add(-size, Relaxed);
            }
        }
    }
}

/// Reads a figure, which may be seen below zero for a moment while a buffer moves.
fn read(bytes: &Atomic<i64>) -> u64 {
    u64::try_from(bytes.load(Relaxed)).unwrap_or(0)
}
