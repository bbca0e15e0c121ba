// SPDX-License-Identifier: GPL-2.0

//! A lock that is given in the order in which it is asked for.
//!
//! A kernel mutex or semaphore lets whoever is fastest in, and so may starve a waiter for long.

use kernel::{
    new_condvar,
    new_mutex,
    prelude::*,
    sync::{
        CondVar,
        Mutex, //
    }, //
};

/// How the lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Together with others.
    Shared,
    /// By nobody else.
    Exclusive,
}

struct State {
    /// How many hold it, all in the same mode.
    holders: u32,
    mode: Mode,
    /// The tickets of those who wait, in the order in which they came.
    waiting: KVec<u64>,
    next_ticket: u64,
}

impl State {
    fn is_free_for(&self, mode: Mode) -> bool {
        self.holders == 0 || (self.mode, mode) == (Mode::Shared, Mode::Shared)
    }

    fn take(&mut self, mode: Mode) {
        self.holders += 1;
        self.mode = mode;
    }

    fn leave_queue(&mut self, ticket: u64) {
        self.waiting.retain(|other| *other != ticket);
    }
}

/// A lock that is given in the order in which it is asked for. Those who want to share it are let in
/// together, unless somebody who wants it exclusively came before.
#[pin_data]
pub(crate) struct Turnstile {
    #[pin]
    state: Mutex<State>,
    #[pin]
    changed: CondVar,
}

impl Turnstile {
    /// A lock that nobody holds.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            state <- new_mutex!(State {
                holders: 0,
                mode: Mode::Shared,
                waiting: KVec::new(),
                next_ticket: 0,
            }),
            changed <- new_condvar!(),
        })
    }

    /// Takes the lock together with others.
    ///
    /// # Errors
    ///
    /// `ERESTARTSYS` on a signal; `ENOMEM`.
    pub(crate) fn shared(&self) -> Result<Passage<'_>> {
        self.enter(Mode::Shared)
    }

    /// Takes the lock alone.
    ///
    /// # Errors
    ///
    /// Those of [`shared`](Self::shared).
    pub(crate) fn exclusive(&self) -> Result<Passage<'_>> {
        self.enter(Mode::Exclusive)
    }

    fn enter(&self, mode: Mode) -> Result<Passage<'_>> {
        let mut state = self.state.lock();

        if !state.waiting.is_empty() || !state.is_free_for(mode) {
            let ticket = state.next_ticket;

            state.next_ticket += 1;
            state.waiting.push(ticket, GFP_KERNEL)?;
            while !state.is_free_for(mode) || state.waiting.first() != Some(&ticket) {
                if self.changed.wait_interruptible(&mut state) {
                    state.leave_queue(ticket);
                    self.changed.notify_all();
                    return Err(ERESTARTSYS);
                }
            }
            state.leave_queue(ticket);
            // Who is next may be able to share it.
            self.changed.notify_all();
        }
        state.take(mode);
        Ok(Passage(self))
    }
}

/// The lock as it is held.
#[must_use = "the lock is released when this is dropped"]
pub(crate) struct Passage<'a>(&'a Turnstile);

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();

        state.holders -= 1;
        if state.holders == 0 && !state.waiting.is_empty() {
            self.0.changed.notify_all();
        }
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/abstractions/turnstile.rs"]
mod kunit;
