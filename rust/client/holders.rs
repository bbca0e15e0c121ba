// SPDX-License-Identifier: GPL-2.0

//! Who has a buffer: the clients with a handle of it.

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
    client::{
        events::{
            Event,
            Subject, //
        },
        holders::state::State,
        ledger::{
            Booked,
            Keeper,
            Ledger, //
        },
        usage::Client, //
    },
    uapi::Domain, //
};

mod state;

pub(crate) use self::state::Content;

/// How many clients may have a handle of one buffer. All of their figures change with interrupts off
/// when a job of the card ends.
const MAX_CLIENTS: usize = 1024;

/// The clients with a handle of a buffer, and what it counts for in the figures of each.
///
/// Jobs of the card keep it, too, so it may outlive the buffer.
#[pin_data]
pub(crate) struct Holders {
    /// Bytes of the buffer.
    size: i64,
    /// Its number; 0 until it is created.
    id: Atomic<u64>,
    /// The books of the card.
    ledger: Arc<Ledger>,
    // The end of a job changes it, in the interrupt handler.
    #[pin]
    state: SpinLockIrq<State>,
}

impl Holders {
    /// For a buffer of `size` bytes, which `client` is creating to be in the domain `wanted`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(
        size: u64,
        wanted: Domain,
        client: Option<Arc<Client>>,
        ledger: Arc<Ledger>,
    ) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                // CAST: No buffer has 2^63 bytes.
                size: size as i64,
                id: Atomic::new(0),
                ledger,
                state <- new_spinlock_irq!(State::new(wanted, client)),
            }),
            GFP_KERNEL,
        )
    }

    /// Sets the number of the buffer.
    pub(crate) fn set_id(&self, id: u64) {
        self.id.store(id, Relaxed);
    }

    /// Tells all clients what has happened to the buffer.
    fn tell(&self, state: &State, event: Event, from: Option<Domain>) {
        let subject = Subject {
            id: self.id.load(Relaxed),
            // CAST: It was one before.
            bytes: self.size as u64,
            from,
            to: state.place,
        };

        for holder in state.holders() {
            holder.client.events.tell(event, subject);
        }
    }

    /// Changes the state, and with it the figures of all clients.
    fn change(&self, f: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        let before = state.share();

        f(&mut state);
        let now = state.share();
        if now == before {
            return;
        }
        for holder in state.holders() {
            holder.client.recount(Some(&before), Some(&now), self.size);
        }
    }

    /// Whether `f` is true of one of the clients that have a handle. Called with a spinlock held.
    pub(crate) fn any_client(&self, mut f: impl FnMut(&Client) -> bool) -> bool {
        self.state.lock().holders().any(|holder| f(&holder.client))
    }

    /// As [`change`](Self::change), if that may change whom the memory belongs to.
    fn change_keeper(&self, f: impl FnOnce(&mut State)) {
        self.change(|state| self.pass(state, f));
    }

    /// Changes the state, and with it whom the memory belongs to. The lock is held.
    fn pass(&self, state: &mut State, f: impl FnOnce(&mut State)) {
        let Some(piece) = state.piece else {
            return f(state);
        };

        self.ledger.with(|books| {
            books.take(piece, state.keeper());
            f(state);
            books.give(piece, state.keeper());
        });
    }

    /// Notes that the buffer is where this memory is, which belongs to those who hold it from now on,
    /// unless the buffer never [left](Self::leave).
    pub(crate) fn arrived(&self, booked: &Booked) {
        let mut state = self.state.lock();

        if state.piece.is_some() {
            return;
        }
        let keeper = if state.is_freed {
            Keeper::Leaving
        } else {
            state.piece = Some(booked.piece());
            state.keeper()
        };
        self.ledger
            .with(|books| books.pass(booked.piece(), booked.arrive(), keeper));
    }

    /// As [`leave`](Self::leave), for ever.
    pub(crate) fn freed(&self) {
        self.state.lock().is_freed = true;
        self.leave();
    }

    /// Notes that the buffer's memory belongs to nobody any more, because it is being moved or freed.
    pub(crate) fn leave(&self) {
        let mut state = self.state.lock();

        if let Some(piece) = state.piece.take() {
            self.ledger
                .with(|books| books.pass(piece, state.keeper(), Keeper::Leaving));
        }
    }

    /// Notes that there is a CPU mapping more.
    pub(crate) fn add_mapping(&self) {
        self.change_keeper(|state| state.mappings += 1);
    }

    /// Notes that there is a CPU mapping less.
    pub(crate) fn remove_mapping(&self) {
        self.change_keeper(|state| state.mappings -= 1);
    }

    /// Notes that `client` gets a handle.
    ///
    /// # Errors
    ///
    /// `EMLINK` if [`MAX_CLIENTS`] others have one; `ENOMEM`.
    pub(crate) fn add_handle(&self, client: &Arc<Client>) -> Result {
        let mut memory = KVec::new();

        loop {
            let needed = {
                let mut state = self.state.lock();
                let mut is_there = state.find(client).is_some();

                if !is_there && state.others.len() + 1 == MAX_CLIENTS {
                    return Err(EMLINK);
                }
                if !is_there {
                    self.pass(&mut state, |state| {
                        is_there = state.add(client, &mut memory);
                    });
                }
                if is_there {
                    self.count_handle(&mut state, client);
                    return Ok(());
                }
                2 * state.others.len() + 2
            };

            // Allocated without the lock, and the old memory is freed without it.
            memory = KVec::with_capacity(needed, GFP_KERNEL)?;
        }
    }

    /// Counts another handle of a client.
    fn count_handle(&self, state: &mut State, client: &Arc<Client>) {
        let before = state.share();
        let mut is_first = false;

        state.handles += 1;
        if let Some(holder) = state.find(client) {
            is_first = holder.handles == 0;
            holder.handles += 1;
        }
        let now = state.share();
        for holder in state.holders() {
            let is_new = is_first && Arc::ptr_eq(&holder.client, client);
            let before = (!is_new).then_some(&before);

            holder.client.recount(before, Some(&now), self.size);
        }
    }

    /// Notes that `client` gives back a handle.
    pub(crate) fn remove_handle(&self, client: &Arc<Client>) {
        let mut gone = None;

        self.change_keeper(|state| {
            let before = state.share();

            state.handles -= 1;
            if let Some(holder) = state.find(client) {
                holder.handles -= 1;
            }
            gone = state.remove();
            if let Some(gone) = &gone {
                gone.client.recount(Some(&before), None, self.size);
            }
        });
    }

    /// Notes that a dma-buf is made of the buffer.
    ///
    /// # Errors
    ///
    /// `EBUSY` for a buffer whose content is not needed.
    pub(crate) fn add_export(&self) -> Result {
        let mut result = Err(EBUSY);

        self.change_keeper(|state| {
            if state.content == Content::Needed {
                state.exports += 1;
                result = Ok(());
            }
        });
        result
    }

    /// Whether the content has to be kept.
    pub(crate) fn content(&self) -> Content {
        self.state.lock().content
    }

    /// Whether the content was once lost with the card's memory.
    pub(crate) fn is_lost(&self) -> bool {
        self.state.lock().lost
    }

    /// Notes that the content was lost with the card's memory.
    pub(crate) fn set_lost(&self) {
        let mut state = self.state.lock();

        state.lost = true;
        self.tell(&state, Event::Lost, state.place);
    }

    /// Notes that the content may be dropped, if it was not yet, or that it was dropped, or that it
    /// is needed. Returns what it was before.
    ///
    /// # Errors
    ///
    /// `EBUSY` for a buffer of which there is a dma-buf, unless it is needed.
    pub(crate) fn set_content(&self, content: Content) -> Result<Content> {
        let mut result = Err(EBUSY);

        self.change(|state| {
            if content == Content::Needed || state.exports == 0 {
                let is_gone = state.content == Content::Purged && content == Content::NotNeeded;

                result = Ok(state.content);
                if !is_gone {
                    state.content = content;
                }
                if content == Content::Purged && result != Ok(Content::Purged) {
                    self.tell(state, Event::Purged, state.place);
                }
            }
        });
        result
    }

    /// Notes that a dma-buf of the buffer is gone. Returns how many there still are.
    pub(crate) fn remove_export(&self) -> u32 {
        let mut left = 0;

        self.change_keeper(|state| {
            state.exports -= 1;
            left = state.exports;
        });
        left
    }

    /// The domain that the buffer should be in.
    pub(crate) fn wanted(&self) -> Domain {
        self.state.lock().wanted
    }

    /// Whether the buffer should be in VRAM, and its content is elsewhere.
    pub(crate) fn is_displaced(&self) -> bool {
        let state = self.state.lock();

        state.wanted == Domain::Vram
            && state.content == Content::Needed
            && state.place.is_some_and(|place| place != Domain::Vram)
    }

    /// Notes the domain that the buffer is in; [`None`] if it has no memory. Returns where it was.
    pub(crate) fn set_place(&self, place: Option<Domain>) -> Option<Domain> {
        let mut before = None;

        self.change(|state| {
            before = core::mem::replace(&mut state.place, place);
            if before == place || before.is_none() || state.wanted != Domain::Vram {
                return;
            }
            if place == Some(Domain::Vram) {
                self.tell(state, Event::Returned, before);
            } else if before == Some(Domain::Vram)
                && place.is_some()
                && state.content == Content::Needed
            {
                self.tell(state, Event::Displaced, before);
            }
        });
        before
    }

    /// Notes the domain that the buffer should be in.
    pub(crate) fn set_wanted(&self, wanted: Domain) {
        self.change(|state| state.wanted = wanted);
    }

    /// The client whose call is being served with the buffer locked. What the card does for the
    /// buffer meanwhile, it does for this client.
    pub(crate) fn served(&self) -> Option<Arc<Client>> {
        self.state.lock().served.clone()
    }

    /// Notes that a call of `client` is being served with the buffer locked, or with [`None`] that
    /// it has ended.
    pub(crate) fn serve(&self, client: Option<Arc<Client>>) {
        let _before = core::mem::replace(&mut self.state.lock().served, client);
    }
}

/// A job of the card that uses a buffer, as long as it has not ended.
pub(crate) struct Busy {
    holders: Arc<Holders>,
    ended: Atomic<bool>,
}

impl Busy {
    /// A job that begins.
    pub(crate) fn new(holders: Arc<Holders>) -> Self {
        holders.change(|state| state.jobs += 1);
        Self {
            holders,
            ended: Atomic::new(false),
        }
    }

    /// Notes that the job has found the content of the buffer lost.
    pub(crate) fn set_lost(&self) {
        self.holders.set_lost();
    }

    /// Notes that the job has ended, if it was not yet.
    pub(crate) fn end(&self) {
        if !self.ended.xchg(true, Relaxed) {
            self.holders.change(|state| state.jobs -= 1);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/client/holders.rs"]
mod kunit;
