// SPDX-License-Identifier: GPL-2.0

//! What a client is told: events that it reads from its file.
//!
//! There is room for some dozens of unread events. As long as there is none, events of one kind are
//! merged: the next one that fits has their number and the sum of their bytes. So a slow reader learns
//! less of each, but misses none, and the sequence numbers prove it.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        new_spinlock_irq,
        Arc,
        SpinLockIrq, //
    }, //
};

use crate::{
    abstractions::drm::EventSink,
    uapi::{
        self,
        Domain, //
    }, //
};

/// Something that a client can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Its budget of VRAM has changed to so many bytes.
    Budget(u64),
    /// A buffer that should be in VRAM has left it.
    Displaced,
    /// A buffer has come to VRAM, where it should be.
    Returned,
    /// The content of a buffer was dropped.
    Purged,
    /// The content of a buffer was lost with the card's memory.
    Lost,
    /// The copy engine was given up.
    GivenUp,
}

impl Event {
    const COUNT: usize = 6;

    fn index(self) -> usize {
        match self {
            Self::Budget(_) => 0,
            Self::Displaced => 1,
            Self::Returned => 2,
            Self::Purged => 3,
            Self::Lost => 4,
            Self::GivenUp => 5,
        }
    }
}

/// The mask of all kinds.
const ALL: u32 = (1 << Event::COUNT) - 1;

const _: () = assert!(ALL == uapi::DRM_PDDGPU_EVENTS_ALL);

/// The buffer that an event is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    /// Its number.
    pub(crate) id: u64,
    /// Its bytes.
    pub(crate) bytes: u64,
    /// Where it was.
    pub(crate) from: Option<Domain>,
    /// Where it is.
    pub(crate) to: Option<Domain>,
}

/// Events of one kind that were not sent yet.
#[derive(Default)]
struct Unsent {
    /// How many events of this kind there were.
    sequence: u64,
    /// How many of them were not sent.
    count: u64,
    /// The sum of their bytes.
    bytes: u64,
    /// What they have in common.
    subject: Subject,
}

impl Unsent {
    fn add(&mut self, event: Event, subject: Subject) {
        self.sequence += 1;
        self.count += 1;
        self.bytes = match event {
            Event::Budget(bytes) => bytes,
            _ => self.bytes.saturating_add(subject.bytes),
        };
        if self.count == 1 {
            self.subject = subject;
            return;
        }
        let Subject { id, from, to, .. } = &mut self.subject;
        if *id != subject.id {
            *id = 0;
        }
        *from = from.filter(|from| Some(*from) == subject.from);
        *to = to.filter(|to| Some(*to) == subject.to);
    }

    fn take(&mut self) -> uapi::drm_pddgpu_event {
        let bit = |domain: Option<Domain>| domain.map_or(0, |domain| domain as u32);
        let event = uapi::drm_pddgpu_event {
            sequence: self.sequence,
            count: self.count,
            bytes: self.bytes,
            buffer: self.subject.id,
            from: bit(self.subject.from),
            to: bit(self.subject.to),
            ..Default::default()
        };

        (self.count, self.bytes) = (0, 0);
        event
    }
}

struct State {
    mask: u32,
    /// Bytes by which the budget has to change to be told.
    threshold: u64,
    /// The budget that was told last.
    budget: u64,
    kinds: [Unsent; Event::COUNT],
}

/// What a client wants to be told, and what it was not told yet.
#[pin_data]
pub(crate) struct Events {
    sink: Arc<EventSink>,
    /// The mask, to be read without the lock.
    mask: Atomic<u32>,
    #[pin]
    state: SpinLockIrq<State>,
}

impl Events {
    /// For a client that wants to be told nothing yet.
    pub(super) fn new(sink: Arc<EventSink>) -> impl PinInit<Self> {
        pin_init!(Self {
            sink,
            mask: Atomic::new(0),
            state <- new_spinlock_irq!(State {
                mask: 0,
                threshold: 0,
                budget: 0,
                kinds: Default::default(),
            }),
        })
    }

    /// Has the client be told the kinds of a mask from now on, and that its budget, which is `budget`
    /// bytes now, has changed by at least `threshold` bytes.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an unknown kind.
    pub(crate) fn subscribe(&self, mask: u32, threshold: u64, budget: u64) -> Result {
        if mask & !ALL != 0 {
            return Err(EINVAL);
        }
        let mut state = self.state.lock();

        state.mask = mask;
        state.threshold = threshold.max(1);
        state.budget = budget;
        for (index, kind) in state.kinds.iter_mut().enumerate() {
            if mask & (1 << index) == 0 {
                kind.count = 0;
                kind.bytes = 0;
            }
        }
        self.mask.store(mask, Relaxed);
        Ok(())
    }

    /// Whether the client wants to be told of its budget.
    pub(super) fn watches_budget(&self) -> bool {
        self.mask.load(Relaxed) & uapi::DRM_PDDGPU_EVENT_BIT_BUDGET != 0
    }

    /// Tells the client its budget, if that has changed enough.
    pub(super) fn tell_budget(&self, bytes: u64) {
        {
            let mut state = self.state.lock();

            if state.budget.abs_diff(bytes) < state.threshold {
                return;
            }
            state.budget = bytes;
        }
        self.tell(Event::Budget(bytes), Subject::default());
    }

    /// Tells the client something, if it wants to know. May be called in any context but from an NMI.
    pub(crate) fn tell(&self, event: Event, subject: Subject) {
        if self.mask.load(Relaxed) & (1 << event.index()) == 0 {
            return;
        }
        let mut state = self.state.lock();

        if state.mask & (1 << event.index()) != 0 {
            state.kinds[event.index()].add(event, subject);
            self.send(&mut state);
        }
    }

    /// Sends what was not sent yet, as far as there is room.
    pub(crate) fn flush(&self) {
        if self.mask.load(Relaxed) != 0 {
            self.send(&mut self.state.lock());
        }
    }

    fn send(&self, state: &mut State) {
        for (index, kind) in state.kinds.iter_mut().enumerate() {
            if kind.count == 0 {
                continue;
            }
            let (count, bytes) = (kind.count, kind.bytes);
            let type_ = uapi::DRM_PDDGPU_EVENT_BUDGET + index as u32;

            if self.sink.send(type_, kind.take()).is_err() {
                (kind.count, kind.bytes) = (count, bytes);
                return;
            }
        }
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/client/events.rs"]
mod kunit;
