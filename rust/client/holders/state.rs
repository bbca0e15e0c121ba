// SPDX-License-Identifier: GPL-2.0

//! Who has a buffer, where it is and whether it is needed.
//!
//! [`Holders`](super::Holders) keeps it under a lock, and tells others what has changed.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use crate::{
    client::{
        ledger::{
            Keeper,
            Piece, //
        },
        usage::{
            Client,
            Share, //
        }, //
    },
    uapi::Domain, //
};

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
pub(super) struct Holder {
    pub(super) client: Arc<Client>,
    pub(super) handles: u32,
}

/// The state of [`Holders`](super::Holders).
pub(super) struct State {
    /// Most buffers have one client, for which nothing is allocated.
    pub(super) first: Option<Holder>,
    pub(super) others: KVec<Holder>,
    /// Handles of all clients.
    pub(super) handles: u32,
    pub(super) exports: u32,
    pub(super) mappings: u32,
    /// Where its memory is that belongs to those who hold it; [`None`] while it is nowhere, or
    /// on its way.
    pub(super) piece: Option<Piece>,
    /// Whether the buffer is being freed. A move may be under way then.
    pub(super) is_freed: bool,
    /// Jobs of the card that use the buffer.
    pub(super) jobs: u32,
    pub(super) wanted: Domain,
    pub(super) place: Option<Domain>,
    pub(super) content: Content,
    /// Whether the content was once lost with the card's memory.
    pub(super) lost: bool,
    /// The client whose call is being served with the buffer locked.
    pub(super) served: Option<Arc<Client>>,
}

impl State {
    /// That of a buffer which nobody has a handle of. `client` is creating it to be in the domain
    /// `wanted`.
    pub(super) fn new(wanted: Domain, client: Option<Arc<Client>>) -> Self {
        Self {
            first: None,
            others: KVec::new(),
            handles: 0,
            exports: 0,
            mappings: 0,
            piece: None,
            is_freed: false,
            jobs: 0,
            wanted,
            place: None,
            content: Content::Needed,
            lost: false,
            served: client,
        }
    }

    /// Whom the buffer's memory belongs to.
    pub(super) fn keeper(&self) -> Keeper<'_> {
        match &self.first {
            Some(first) => Keeper::Client(&first.client),
            None if self.exports > 0 => Keeper::DmaBuf,
            None if self.mappings > 0 => Keeper::Mapping,
            None => Keeper::Kernel,
        }
    }

    pub(super) fn share(&self) -> Share {
        Share {
            wanted: self.wanted,
            place: self.place,
            shared: self.handles > 1 || self.exports > 0,
            purgeable: self.content == Content::NotNeeded,
            active: self.jobs > 0,
        }
    }

    pub(super) fn holders(&self) -> impl Iterator<Item = &Holder> {
        Iterator::chain(self.first.iter(), &self.others)
    }

    pub(super) fn find(&mut self, client: &Arc<Client>) -> Option<&mut Holder> {
        Iterator::chain(self.first.iter_mut(), &mut self.others)
            .find(|holder| Arc::ptr_eq(&holder.client, client))
    }

    /// Adds a client. `memory` is used if there is no room for another one. Returns `false` if that
    /// is too small.
    pub(super) fn add(&mut self, client: &Arc<Client>, memory: &mut KVec<Holder>) -> bool {
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
    pub(super) fn remove(&mut self) -> Option<Holder> {
        if self.first.as_ref().is_some_and(|first| first.handles == 0) {
            return core::mem::replace(&mut self.first, self.others.pop());
        }
        let gone = self.others.iter().position(|other| other.handles == 0)?;

        self.others.remove(gone).ok()
    }
}
