// SPDX-License-Identifier: GPL-2.0

//! How much belongs to somebody, by where it is.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

use crate::uapi::Domain;

/// Where memory is that a manager has given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    /// In a heap.
    Heap(Domain),
    /// In GTT without an address of the window, on a hop.
    Hop,
}

impl Account {
    const COUNT: usize = Domain::ALL.len() + 1;

    fn index(self) -> usize {
        match self {
            Self::Heap(domain) => domain.index(),
            Self::Hop => Domain::ALL.len(),
        }
    }
}

/// What belongs to somebody.
#[derive(Clone, Copy, Default)]
pub(crate) struct Holding {
    bytes: [i64; Account::COUNT],
    buffers: i64,
}

impl Holding {
    /// Adds a piece of memory, or takes it away if `sign` is -1.
    pub(super) fn add(&mut self, account: Account, bytes: i64, sign: i64) {
        self.bytes[account.index()] += sign * bytes;
        self.buffers += sign;
    }

    /// Bytes in an account.
    pub(crate) fn bytes(&self, account: Account) -> u64 {
        u64::try_from(self.bytes[account.index()]).unwrap_or(0)
    }

    /// How many pieces of memory these are.
    pub(crate) fn buffers(&self) -> u64 {
        u64::try_from(self.buffers).unwrap_or(0)
    }

    /// What is left without a part of it.
    pub(crate) fn without(mut self, part: &Self) -> Self {
        for (left, part) in self.bytes.iter_mut().zip(&part.bytes) {
            *left -= part;
        }
        self.buffers -= part.buffers;
        self
    }
}

/// What belongs to a client. The lock of the books makes the changes of all clients one.
pub(super) struct ClientHolding {
    bytes: [Atomic<i64>; Account::COUNT],
    buffers: Atomic<i64>,
}

impl ClientHolding {
    /// Nothing.
    pub(super) const fn new() -> Self {
        Self {
            bytes: [const { Atomic::new(0) }; Account::COUNT],
            buffers: Atomic::new(0),
        }
    }

    /// As [`Holding::add`].
    pub(super) fn add(&self, account: Account, bytes: i64, sign: i64) {
        self.bytes[account.index()].add(sign * bytes, Relaxed);
        self.buffers.add(sign, Relaxed);
    }

    /// What it is now.
    pub(super) fn get(&self) -> Holding {
        let mut holding = Holding {
            buffers: self.buffers.load(Relaxed),
            ..Default::default()
        };

        for (copy, bytes) in holding.bytes.iter_mut().zip(&self.bytes) {
            *copy = bytes.load(Relaxed);
        }
        holding
    }
}
