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
        usage::{
            Client,
            Share, //
        }, //
    },
    uapi::Domain, //
};

/// How many clients may have a handle of one buffer. All of their figures change with interrupts off
/// when a job of the card ends.
const MAX_CLIENTS: usize = 1024;

/// Whether the content of a buffer has to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// It has to be kept.
    Needed,
    /// It may be dropped.
    NotNeeded,
    /// It was dropped, and was not needed since.
    Purged,
}

/// A client, and how many handles of the buffer it has.
struct Holder {
    client: Arc<Client>,
    handles: u32,
}

/// The state of [`Holders`].
struct State {
    /// Most buffers have one client, for which nothing is allocated.
    first: Option<Holder>,
    others: KVec<Holder>,
    /// Handles of all clients.
    handles: u32,
    exports: u32,
    /// Jobs of the card that use the buffer.
    jobs: u32,
    wanted: Domain,
    place: Option<Domain>,
    content: Content,
    /// Whether the content was once lost with the card's memory.
    lost: bool,
    /// The client whose call is being served with the buffer locked.
    served: Option<Arc<Client>>,
}

impl State {
    fn share(&self) -> Share {
        Share {
            wanted: self.wanted,
            place: self.place,
            shared: self.handles > 1 || self.exports > 0,
            purgeable: self.content == Content::NotNeeded,
            active: self.jobs > 0,
        }
    }

    fn holders(&self) -> impl Iterator<Item = &Holder> {
        Iterator::chain(self.first.iter(), &self.others)
    }

    fn find(&mut self, client: &Arc<Client>) -> Option<&mut Holder> {
        Iterator::chain(self.first.iter_mut(), &mut self.others)
            .find(|holder| Arc::ptr_eq(&holder.client, client))
    }

    /// Adds a client. `memory` is used if there is no room for another one. Returns `false` if that
    /// is too small.
    fn add(&mut self, client: &Arc<Client>, memory: &mut KVec<Holder>) -> bool {
        let holder = Holder {
            client: client.clone(),
            handles: 0,
        };

        if self.first.is_none() {
            self.first = Some(holder);
            return true;
        }
        if self.others.len() == self.others.capacity() {
            if memory.capacity() <= self.others.len() {
                return false;
            }
            for other in self.others.drain_all() {
                // There is room for one more than these.
                let _ = memory.push_within_capacity(other);
            }
            core::mem::swap(&mut self.others, memory);
        }
        self.others.push_within_capacity(holder).is_ok()
    }

    /// Removes the client without a handle, if there is one.
    fn remove(&mut self) -> Option<Holder> {
        if self.first.as_ref().is_some_and(|first| first.handles == 0) {
            return core::mem::replace(&mut self.first, self.others.pop());
        }
        let gone = self.others.iter().position(|other| other.handles == 0)?;

        self.others.remove(gone).ok()
    }
}

/// The clients with a handle of a buffer, and what it counts for in the figures of each.
///
/// Jobs of the card keep it, too, so it may outlive the buffer.
#[pin_data]
pub(crate) struct Holders {
    /// Bytes of the buffer.
    size: i64,
    /// Its number; 0 until it is created.
    id: Atomic<u64>,
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
    pub(crate) fn new(size: u64, wanted: Domain, client: Option<Arc<Client>>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                // CAST: No buffer has 2^63 bytes.
                size: size as i64,
                id: Atomic::new(0),
                state <- new_spinlock_irq!(State {
                    first: None,
                    others: KVec::new(),
                    handles: 0,
                    exports: 0,
                    jobs: 0,
                    wanted,
                    place: None,
                    content: Content::Needed,
                    lost: false,
                    served: client,
                }),
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

                let is_known = state.find(client).is_some();

                if !is_known && state.others.len() + 1 == MAX_CLIENTS {
                    return Err(EMLINK);
                }
                if is_known || state.add(client, &mut memory) {
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

        self.change(|state| {
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

        self.change(|state| {
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

    /// Notes that a dma-buf of the buffer is gone.
    pub(crate) fn remove_export(&self) {
        self.change(|state| state.exports -= 1);
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
