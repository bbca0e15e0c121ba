// SPDX-License-Identifier: GPL-2.0

//! Whose memory it is: the books of a card.
//!
//! Every byte that a manager gives out is in exactly one entry of the books. It is *arriving* at
//! first. It belongs to who holds the buffer when that is there, see [`Holders`](super::Holders). It
//! is *leaving* when the buffer was moved or freed and the memory is not free yet. So the books can
//! be compared with the managers' own figures at any moment, and there is no difference.
//!
//! Each processor has books of its own; what somebody has is the sum of all. A [`Snapshot`] locks them
//! all for a moment, which is as short whatever there is: it sums up the few entries that are no
//! clients, and gives the moment a number. What a client has is read afterwards, with nobody waiting.
//! Who changes it first after that moment has the client remember what it had before.
//!
//! The locks are taken inside of all others, and only that of a client's figures inside of them.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex,
        MutexGuard, //
    }, //
};

use crate::{
    abstractions::lglock::LgLock,
    client::{
        holding::{
            Account,
            Holding, //
        },
        usage::Client, //
    }, //
};

/// Whom memory belongs to that a manager has given out.
#[derive(Clone, Copy)]
pub(crate) enum Keeper<'a> {
    /// A client with a handle of the buffer.
    Client(&'a Arc<Client>),
    /// A dma-buf.
    DmaBuf,
    /// A CPU mapping.
    Mapping,
    /// The kernel alone.
    Kernel,
    /// A buffer that is not there yet.
    Arriving,
    /// A buffer that has gone.
    Leaving,
}

impl Keeper<'_> {
    const COUNT: usize = 6;

    fn index(self) -> usize {
        match self {
            Self::Client(_) => 0,
            Self::DmaBuf => 1,
            Self::Mapping => 2,
            Self::Kernel => 3,
            Self::Arriving => 4,
            Self::Leaving => 5,
        }
    }
}

/// Memory that a manager has given out.
pub(crate) struct Booked {
    account: Account,
    bytes: i64,
    /// Whether the buffer is, or was, there.
    has_arrived: Atomic<bool>,
}

/// Where a buffer's memory is, as [`Booked`] says.
pub(super) type Piece = (Account, i64);

/// The books of a processor. An entry of one processor alone may be below zero.
pub(super) struct Books {
    holdings: [Holding; Keeper::COUNT],
    /// The number of the last snapshot.
    snapshot: u64,
}

impl Books {
    fn new() -> Self {
        Self {
            holdings: [Holding::default(); Keeper::COUNT],
            snapshot: 0,
        }
    }

    fn add(&mut self, keeper: Keeper<'_>, (account, bytes): Piece, sign: i64) {
        self.holdings[keeper.index()].add(account, bytes, sign);
        if let Keeper::Client(client) = keeper {
            client.holding.add(self.snapshot, account, bytes, sign);
        }
    }

    /// Notes that a piece belongs to another keeper.
    pub(super) fn pass(&mut self, piece: Piece, from: Keeper<'_>, to: Keeper<'_>) {
        self.add(from, piece, -1);
        self.add(to, piece, 1);
    }

    /// Takes a piece from its keeper, until [`give`](Self::give) is called under the same lock.
    pub(super) fn take(&mut self, piece: Piece, keeper: Keeper<'_>) {
        self.add(keeper, piece, -1);
    }

    /// The other half of [`take`](Self::take).
    pub(super) fn give(&mut self, piece: Piece, keeper: Keeper<'_>) {
        self.add(keeper, piece, 1);
    }
}

/// The books of all processors.
#[pin_data]
pub(crate) struct Ledger {
    #[pin]
    books: LgLock<Books>,
    /// The number of the last snapshot. Locked while one is read, as clients remember one only.
    #[pin]
    snapshots: Mutex<u64>,
}

impl Ledger {
    /// Books in which nothing is.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                books <- LgLock::new(Books::new),
                snapshots <- new_mutex!(0),
            }),
            GFP_KERNEL,
        )
    }

    /// Calls `f` with the books of this processor.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Books) -> R) -> R {
        f(&mut self.books.lock_local())
    }

    /// Notes that a manager has given out memory. Call [`freed`](Self::freed) before it is free.
    pub(crate) fn allocated(&self, account: Account, bytes: u64) -> Booked {
        // CAST: No heap has 2^63 bytes.
        let bytes = bytes as i64;

        self.with(|books| books.give((account, bytes), Keeper::Arriving));
        Booked {
            account,
            bytes,
            has_arrived: Atomic::new(false),
        }
    }

    /// Notes that memory is free. No buffer is there any more.
    pub(crate) fn freed(&self, booked: &Booked) {
        self.with(|books| books.take(booked.piece(), booked.stage()));
    }

    /// Waits for its turn to read what everybody has. Taken outside of all other locks.
    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader {
            ledger: self,
            number: self.snapshots.lock(),
        }
    }
}

/// Who may take a snapshot.
pub(crate) struct Reader<'a> {
    ledger: &'a Ledger,
    number: MutexGuard<'a, u64>,
}

impl<'a> Reader<'a> {
    /// What everybody has at one moment, in which this takes place. Takes spinlocks only.
    pub(crate) fn snapshot(mut self) -> Snapshot<'a> {
        *self.number += 1;

        let holdings = self.ledger.books.with_all(|all| {
            let mut sums = [Holding::default(); Keeper::COUNT];

            for books in all {
                books.snapshot = *self.number;
                for (sum, holding) in sums.iter_mut().zip(&books.holdings) {
                    *sum = sum.with(holding);
                }
            }
            sums
        });
        Snapshot {
            holdings,
            number: self.number,
        }
    }
}

/// What everybody had at one moment. Nobody else can take one meanwhile.
pub(crate) struct Snapshot<'a> {
    holdings: [Holding; Keeper::COUNT],
    number: MutexGuard<'a, u64>,
}

impl Snapshot<'_> {
    /// What belonged to a keeper who is no client.
    pub(crate) fn of(&self, keeper: Keeper<'_>) -> &Holding {
        &self.holdings[keeper.index()]
    }

    /// What belonged to all clients together.
    pub(crate) fn of_clients(&self) -> &Holding {
        &self.holdings[0]
    }

    /// What belonged to a client.
    pub(crate) fn of_client(&self, client: &Client) -> Holding {
        client.holding.at(*self.number)
    }

    /// Bytes of an account that belonged to anybody.
    pub(crate) fn total(&self, account: Account) -> u64 {
        let holdings = self.holdings.iter();

        holdings.map(|holding| holding.bytes(account)).sum()
    }
}

impl Booked {
    pub(super) fn piece(&self) -> Piece {
        (self.account, self.bytes)
    }

    /// Whom it belongs to while it is not the buffer's.
    fn stage(&self) -> Keeper<'static> {
        if self.has_arrived.load(Relaxed) {
            Keeper::Leaving
        } else {
            Keeper::Arriving
        }
    }

    /// Notes that the buffer is there now. Returns whom the memory belonged to. A lock of the books is
    /// held.
    pub(super) fn arrive(&self) -> Keeper<'static> {
        let stage = self.stage();

        self.has_arrived.store(true, Relaxed);
        stage
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/client/ledger.rs"]
mod kunit;
