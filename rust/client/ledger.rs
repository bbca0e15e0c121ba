// SPDX-License-Identifier: GPL-2.0

//! Whose memory it is: the books of a card.
//!
//! Every byte that a manager gives out is in exactly one entry of the books. It is *arriving* at
//! first. It belongs to who holds the buffer when that is there, see [`Holders`](super::Holders). It
//! is *leaving* when the buffer was moved or freed and the memory is not free yet. So the books can
//! be compared with the managers' own figures at any moment, and there is no difference.
//!
//! The lock is held for a few instructions, or for as long as it takes to read the figures of all
//! clients. It is taken inside of all other locks, and none is taken inside of it.

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

use crate::client::{
    holding::{
        Account,
        Holding, //
    },
    usage::Client, //
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
    /// Whether the buffer is, or was, there. Changed under the lock of the books.
    has_arrived: Atomic<bool>,
}

/// Where a buffer's memory is, as [`Booked`] says.
pub(super) type Piece = (Account, i64);

/// The figures of all.
pub(crate) struct Books {
    holdings: [Holding; Keeper::COUNT],
}

impl Books {
    /// What belongs to a keeper who is no client.
    pub(crate) fn of(&self, keeper: Keeper<'_>) -> &Holding {
        &self.holdings[keeper.index()]
    }

    /// What belongs to all clients together.
    pub(crate) fn of_clients(&self) -> &Holding {
        &self.holdings[0]
    }

    /// What belongs to a client.
    pub(crate) fn of_client(&self, client: &Client) -> Holding {
        client.holding.get()
    }

    /// Bytes of an account that belong to anybody.
    pub(crate) fn total(&self, account: Account) -> u64 {
        self.holdings
            .iter()
            .map(|holding| holding.bytes(account))
            .sum()
    }

    fn add(&mut self, keeper: Keeper<'_>, (account, bytes): Piece, sign: i64) {
        self.holdings[keeper.index()].add(account, bytes, sign);
        if let Keeper::Client(client) = keeper {
            client.holding.add(account, bytes, sign);
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

/// The books and their lock.
#[pin_data]
pub(crate) struct Ledger {
    #[pin]
    books: SpinLockIrq<Books>,
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
                books <- new_spinlock_irq!(Books {
                    holdings: [Holding::default(); Keeper::COUNT],
                }),
            }),
            GFP_KERNEL,
        )
    }

    /// Calls `f` with the figures of one moment. Nothing changes meanwhile, so `f` should not take
    /// long.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Books) -> R) -> R {
        f(&mut self.books.lock())
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

    /// Notes that the buffer is there now. Returns whom the memory belonged to. The lock of the books
    /// is held.
    pub(super) fn arrive(&self) -> Keeper<'static> {
        let stage = self.stage();

        self.has_arrived.store(true, Relaxed);
        stage
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/client/ledger.rs"]
mod kunit;
