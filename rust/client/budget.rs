// SPDX-License-Identifier: GPL-2.0

//! What each client may have of VRAM, if there is not enough for all.
//!
//! VRAM is shared by *water-filling*: every client gets what it wants up to a level, at which the sum
//! fits. What some do not want goes to those who want more. A *reservation* is a floor: a client has at
//! least that much, also above the level.
//!
//! Nothing is kept per client but what fdinfo shows anyway. The level is one number for the card. It is
//! computed when somebody has to be evicted, not when buffers come and go. So the cost of a creation
//! does not depend on how many clients there are, as long as there is room.

use core::ops::Deref;

use kernel::{
    new_mutex,
    page::PAGE_SHIFT,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNode, //
    },
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
    time::Msecs, //
};

use crate::{
    abstractions::time::Stopwatch,
    client::{
        events::{
            Event,
            Subject, //
        },
        usage::Client, //
    },
    uapi::Domain, //
};

/// The part of VRAM that all reservations together may take: one in so many bytes.
const RESERVABLE_PART: u64 = 2;

/// With more clients than this, the level is not computed for each eviction. Beside many clients nobody
/// is to wait long for it.
const FEW_CLIENTS: usize = 64;
/// It is computed at most this part of the time, then: 1 in so many ns.
const COMPUTING_PART: i64 = 32;

/// ms from one look at the budgets that clients want to be told to the next.
const TELL_EVERY: Msecs = 100;
/// The longest such time in ms.
const LONGEST_REST: Msecs = 10_000;
/// Most clients whose budgets are looked at before others get the lock. Each takes time proportional to
/// the number of clients.
const TELL_AT_ONCE: usize = 32;

/// What a client wants of VRAM, in bytes.
#[derive(Clone, Copy)]
struct Want {
    /// What it has asked for.
    demand: u64,
    /// What it has reserved.
    floor: u64,
}

impl Want {
    /// What it gets if the level is so high.
    fn granted(&self, level: u64) -> u64 {
        self.demand.min(level.max(self.floor))
    }
}

/// The highest level, in whole pages, at which the clients together get no more than `usable` bytes;
/// `u64::MAX` if everyone can get what he wants.
fn water_level(usable: u64, wants: &[Want]) -> u64 {
    let fits = |level| {
        let sum = wants
            .iter()
            .fold(0u64, |sum, want| sum.saturating_add(want.granted(level)));

        sum <= usable
    };

    if fits(u64::MAX) {
        return u64::MAX;
    }
    let (mut low, mut high) = (0, (usable >> PAGE_SHIFT) + 1);
    while high - low > 1 {
        let middle = low + (high - low) / 2;

        if fits(middle << PAGE_SHIFT) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low << PAGE_SHIFT
}

impl Client {
    /// What it wants of VRAM, with what it is asking for.
    fn want(&self) -> Want {
        let memory = self.memory(Domain::Vram);

        Want {
            demand: memory.shared + memory.private + self.claim.asking(),
            floor: self.claim.reservation(),
        }
    }

    fn resident(&self) -> u64 {
        self.memory(Domain::Vram).resident
    }
}

/// What a client may have of VRAM, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// What it could have if it wanted all.
    pub(crate) budget: u64,
    /// What it has reserved.
    pub(crate) reservation: u64,
    /// The largest reservation that it could have now.
    pub(crate) reservable: u64,
}

/// Whose buffers may be evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victims {
    /// Those of clients that have more than their budget.
    OverBudget,
    /// Those of all clients, but what is reserved.
    Everyone,
}

struct State {
    /// The clients, by their addresses.
    clients: RBTree<usize, Arc<Client>>,
    /// How many there are.
    count: usize,
    /// Memory for what each of them wants.
    wants: KVec<Want>,
    /// When the level may be computed for an eviction again, if there are many clients.
    next: i64,
    /// The address up to which clients were told their budgets.
    told: usize,
}

/// What a client could have of VRAM if it wanted all. `wants` is memory.
fn budget_of(client: &Arc<Client>, state: &State, wants: &mut KVec<Want>, usable: u64) -> u64 {
    state.collect(wants, |other| {
        let want = other.want();

        if Arc::ptr_eq(other, client) {
            Want {
                demand: u64::MAX,
                ..want
            }
        } else {
            want
        }
    });
    water_level(usable, wants)
        .max(client.claim.reservation())
        .min(usable)
}

impl State {
    fn collect(&self, wants: &mut KVec<Want>, mut want: impl FnMut(&Arc<Client>) -> Want) {
        wants.clear();
        for client in self.clients.values() {
            // There is room: `join` saw to that.
            let _ = wants.push_within_capacity(want(client));
        }
    }

    /// Bytes that others than `client` have reserved.
    fn reserved_by_others(&self, client: &Arc<Client>) -> u64 {
        self.clients
            .values()
            .filter(|other| !Arc::ptr_eq(other, client))
            .map(|other| other.claim.reservation())
            .sum()
    }
}

/// The clients of a card, and the level up to which they share its VRAM.
#[pin_data]
pub(crate) struct Budgets {
    #[pin]
    state: Mutex<State>,
    /// What a client has beyond this and its reservation is over its budget.
    level: Atomic<u64>,
    /// What of a reservation is above this is not kept: that is for a card whose VRAM has shrunk below
    /// what was reserved of it.
    reserved_level: Atomic<u64>,
    /// Whether buffers of clients that are within their budgets may be evicted, too.
    from_everyone: Atomic<bool>,
    /// Until when buffers may be evicted that others still use, in ns since boot.
    pub(crate) evict_used_until: Atomic<u64>,
    clock: Stopwatch,
}

impl Budgets {
    /// For a card without clients.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                state <- new_mutex!(State {
                    clients: RBTree::new(),
                    count: 0,
                    wants: KVec::new(),
                    next: i64::MIN,
                    told: 0,
                }),
                level: Atomic::new(u64::MAX),
                reserved_level: Atomic::new(u64::MAX),
                from_everyone: Atomic::new(false),
                evict_used_until: Atomic::new(0),
                clock: Stopwatch::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// Adds a client.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn join(self: &Arc<Self>, client: &Arc<Client>) -> Result<Member> {
        let key = Arc::as_ptr(client) as usize;
        let node = RBTreeNode::new(key, client.clone(), GFP_KERNEL)?;
        let mut state = self.state.lock();

        let count = state.count + 1;
        state.wants.clear();
        state.wants.reserve(count, GFP_KERNEL)?;
        state.count = count;
        state.clients.insert(node);
        Ok(Member {
            budgets: self.clone(),
            client: client.clone(),
        })
    }

    /// Computes the level anew, for so many bytes of VRAM.
    fn compute(&self, state: &mut State, usable: u64) {
        let mut wants = core::mem::take(&mut state.wants);

        state.collect(&mut wants, |client| client.want());
        self.level.store(water_level(usable, &wants), Relaxed);

        for want in &mut wants {
            want.demand = want.demand.min(want.floor);
            want.floor = 0;
        }
        self.reserved_level
            .store(water_level(usable, &wants), Relaxed);
        state.wants = wants;
    }

    /// Notes that the calling thread asks for VRAM for a client, of which there are `usable` bytes and
    /// not as many free. Until the result is dropped, what it asks for counts as if it had it.
    pub(crate) fn ask<'a>(&self, client: &'a Client, bytes: u64, usable: u64) -> Asking<'a> {
        client.claim.ask(bytes);

        self.refresh(usable);
        Asking { client, bytes }
    }

    /// Computes the level anew, for so many bytes of VRAM, unless that was done just now for many clients.
    pub(crate) fn refresh(&self, usable: u64) {
        let mut state = self.state.lock();
        let begin = self.clock.now();

        if state.count <= FEW_CLIENTS || begin >= state.next {
            self.compute(&mut state, usable);
            let end = self.clock.now();
            state.next = end.saturating_add((end - begin).max(0) * COMPUTING_PART);
        }
    }

    /// Whether a client would still be within its budget with so many bytes of VRAM more.
    pub(crate) fn may_have(&self, client: &Client, bytes: u64) -> bool {
        client.resident() + bytes <= self.allowed(client, Victims::OverBudget)
    }

    /// Whether a client that [asks](Self::ask) for VRAM would still be within its budget.
    pub(crate) fn is_entitled(&self, client: &Client) -> bool {
        client.resident() + client.claim.asking() <= self.allowed(client, Victims::OverBudget)
    }

    /// Sets whose buffers may be evicted. It has to be set back.
    pub(crate) fn set_victims(&self, victims: Victims) {
        self.from_everyone
            .store(victims == Victims::Everyone, Relaxed);
    }

    /// Whether a client keeps what it has of VRAM when the calling thread looks for a buffer to evict.
    pub(crate) fn keeps(&self, client: &Client) -> bool {
        let victims = if self.from_everyone.load(Relaxed) {
            Victims::Everyone
        } else {
            Victims::OverBudget
        };

        // Who asks for more than it may have gives of its own.
        client.resident() + client.claim.asking_here() <= self.allowed(client, victims)
    }

    /// Bytes that a client may have.
    fn allowed(&self, client: &Client, victims: Victims) -> u64 {
        let reservation = client.claim.reservation();
        let reserved = reservation.min(self.reserved_level.load(Relaxed));

        match victims {
            Victims::OverBudget => reserved.max(self.level.load(Relaxed)),
            Victims::Everyone => reserved,
        }
    }

    /// The budget of a client, if there are `usable` bytes of VRAM.
    pub(crate) fn budget(&self, client: &Arc<Client>, usable: u64) -> Budget {
        let mut state = self.state.lock();
        let mut wants = core::mem::take(&mut state.wants);
        let budget = budget_of(client, &state, &mut wants, usable);
        let reservation = client.claim.reservation();

        state.wants = wants;
        Budget {
            budget,
            reservation,
            reservable: (usable / RESERVABLE_PART)
                .saturating_sub(state.reserved_by_others(client))
                .max(reservation),
        }
    }

    /// Tells some of the clients that want to know it how their budgets have changed, if there are `usable`
    /// bytes of VRAM; the next ones the next time. Returns the ms after which to do so again; [`None`] if
    /// nobody wants to know.
    pub(crate) fn tell(&self, usable: u64) -> Option<Msecs> {
        const NSEC_PER_MSEC: i64 = 1_000_000;
        let begin = self.clock.now();
        let mut state = self.state.lock();
        let mut wants = core::mem::take(&mut state.wants);
        let is_watched = state
            .clients
            .values()
            .any(|client| client.events.watches_budget());
        let mut told = state.told;
        let mut count = 0;

        while count < TELL_AT_ONCE {
            let Some(at) = state.clients.cursor_lower_bound(&(told + 1)) else {
                // All have had their turn.
                told = 0;
                break;
            };
            let (&key, client) = at.current();

            told = key;
            if client.events.watches_budget() {
                count += 1;
                client
                    .events
                    .tell_budget(budget_of(client, &state, &mut wants, usable));
            }
        }
        state.told = told;
        state.wants = wants;
        // CAST: Not longer than the sum of what clients have taken.
        let rest = (self.clock.now() - begin).max(0) * COMPUTING_PART / NSEC_PER_MSEC;
        is_watched.then(|| TELL_EVERY.max(rest.min(i64::from(LONGEST_REST)) as Msecs))
    }

    /// Tells all clients something that is not about a buffer.
    pub(crate) fn tell_all(&self, event: Event) {
        for client in self.state.lock().clients.values() {
            client.events.tell(event, Subject::default());
        }
    }

    /// Has a client reserve so many bytes instead of what it had reserved.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if these are more than it had, and all reservations together would be more than half of
    /// the `usable` bytes of VRAM.
    pub(crate) fn reserve(&self, client: &Arc<Client>, bytes: u64, usable: u64) -> Result {
        let mut state = self.state.lock();
        let before = client.claim.reservation();
        let others = state.reserved_by_others(client);

        if bytes > before && bytes > (usable / RESERVABLE_PART).saturating_sub(others) {
            return Err(ENOSPC);
        }
        client.claim.reserve(bytes);
        self.compute(&mut state, usable);
        Ok(())
    }
}

/// A client that takes part. It no more does when this is dropped, and its reservation ends.
pub(crate) struct Member {
    budgets: Arc<Budgets>,
    client: Arc<Client>,
}

impl Drop for Member {
    fn drop(&mut self) {
        let key = Arc::as_ptr(&self.client) as usize;

        let _client = {
            let mut state = self.budgets.state.lock();

            state.count -= 1;
            state.clients.remove(&key)
        };
        self.client.claim.reserve(0);
    }
}

/// A client that asks for VRAM, as long as it does.
pub(crate) struct Asking<'a> {
    client: &'a Client,
    bytes: u64,
}

impl Deref for Asking<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.client.claim.end_asking(self.bytes);
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/client/budget.rs"]
mod kunit;
