// SPDX-License-Identifier: GPL-2.0

//! How much belongs to somebody, by where it is.

use kernel::{
    prelude::*,
    sync::{
        new_spinlock_irq,
        SpinLockIrq, //
    }, //
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

    /// What there is with another part.
    pub(super) fn with(mut self, part: &Self) -> Self {
        for (sum, part) in self.bytes.iter_mut().zip(&part.bytes) {
            *sum += part;
        }
        self.buffers += part.buffers;
        self
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

/// What belongs to a client now, and what did when the figures of all were last read.
struct Versions {
    now: Holding,
    before: Holding,
    /// Which snapshot `before` belongs to.
    snapshot: u64,
}

/// What belongs to a client.
#[pin_data]
pub(super) struct ClientHolding {
    // Those who have a buffer change with interrupts off.
    #[pin]
    versions: SpinLockIrq<Versions>,
}

impl ClientHolding {
    /// Nothing.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            versions <- new_spinlock_irq!(Versions {
                now: Holding::default(),
                before: Holding::default(),
                snapshot: 0,
            }),
        })
    }

    /// As [`Holding::add`], by who knows of this snapshot already.
    pub(super) fn add(&self, snapshot: u64, account: Account, bytes: i64, sign: i64) {
        let mut versions = self.versions.lock();

        if versions.snapshot != snapshot {
            versions.snapshot = snapshot;
            versions.before = versions.now;
        }
        versions.now.add(account, bytes, sign);
    }

    /// What it was when this snapshot was taken, which is the last one.
    pub(super) fn at(&self, snapshot: u64) -> Holding {
        let versions = self.versions.lock();

        if versions.snapshot == snapshot {
            versions.before
        } else {
            versions.now
        }
    }
}
