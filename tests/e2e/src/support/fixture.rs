// SPDX-License-Identifier: GPL-2.0

//! What every test starts from and has to leave behind.

use std::{
    any::Any,
    fmt,
    ops::{Deref, DerefMut},
    panic::{catch_unwind, AssertUnwindSafe},
    sync::{Mutex, MutexGuard},
};

use anyhow::{bail, ensure, Context, Result};
use libtest_mimic::{Completion, Failed, Trial};
use pddgpu::{gem_list, virtual_card::VirtualCard, Card, Device, Heap};

use crate::support::{
    driver::Driver,
    kmsg::{fail_on_alarms, Log},
    owners,
    patience::eventually,
    stats,
};

/// What a test of the ioctls works with: a client of its own on an otherwise idle card.
pub struct Bench {
    pub card: Card,
    pub device: Device,
}

/// Makes a list of trials out of functions of this module, named after it.
#[macro_export]
macro_rules! trials {
    ($kind:ident: $($test:ident),* $(,)?) => {
        vec![$($crate::support::fixture::$kind(
            concat!(module_path!(), "::", stringify!($test)), Box::new($test),
        )),*]
    };
}
pub use trials;

/// A test, given what it works with. Boxed, because hundreds of copies of what is around it take
/// long to compile.
pub type Test<T> = Box<dyn FnOnce(&T) -> Result<()> + Send>;

/// Why a test makes no sense on this machine.
#[derive(Debug)]
struct Skip(String);

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skip {}

/// Ends a test that makes no sense on this machine.
pub fn skip<T>(why: impl Into<String>) -> Result<T> {
    Err(Skip(why.into()).into())
}

/// A trial of the ioctls.
pub fn card_trial(name: &str, test: Test<Bench>) -> Trial {
    trial(name, move || {
        let observer = Card::find()?;
        // What the test before has left does not count.
        stats::await_zeroed(&observer)?;
        let before = State::of(&observer)?;
        ensure!(before.buffers == 0, "the card is in use already");
        let result = {
            let card = Card::open(observer.path())?;
            let bench = Bench {
                device: card.device()?,
                card,
            };
            guarded(|| test(&bench))
        };
        let left = before.await_return(|| State::of(&observer));
        result.and(left)
    })
}

/// A trial of the driver's coming and going: no file is open when it starts. Afterwards the driver is
/// loaded and bound again, whatever the test came to.
pub fn driver_trial(name: &str, test: Test<Driver>) -> Trial {
    trial(name, move || {
        let before = State::of(&Card::find()?)?;
        let driver = Driver::find()?;
        let result = guarded(|| test(&driver)).and(driver.restore());
        let left = before.await_return(|| State::of(&Card::find()?));
        result.and(left)
    })
}

fn trial(name: &str, run: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    let name = name.split_once("::").map_or(name, |(_crate, name)| name);
    Trial::ignorable_test(name, move || {
        let mut log = Log::from_now().map_err(failed)?;
        let result = run();
        log.take()
            .and_then(|messages| fail_on_alarms(&messages))
            .map_err(failed)?;
        match result {
            Ok(()) => Ok(Completion::Completed),
            Err(error) => match error.downcast::<Skip>() {
                Ok(skip) => Ok(Completion::ignored_with(skip)),
                Err(error) => Err(failed(error)),
            },
        }
    })
}

fn failed(error: anyhow::Error) -> Failed {
    format!("{error:#}").into()
}

/// Turns a panic into an error, so that what a test left behind is checked after it, too.
fn guarded(test: impl FnOnce() -> Result<()>) -> Result<()> {
    catch_unwind(AssertUnwindSafe(test)).unwrap_or_else(|panic| bail!("{}", panic_text(&*panic)))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "the test panicked".to_owned())
}

/// How much of the card is in use, and by how many.
#[derive(Debug, PartialEq)]
pub struct State {
    heaps: Vec<Heap>,
    clients: usize,
    buffers: usize,
    /// Buffers and bytes as the statistics have them.
    counted: (u64, [u64; 4]),
    /// Bytes that belong to somebody, as the balance sheet has them.
    owned: u64,
}

impl State {
    pub fn of(card: &Card) -> Result<Self> {
        let clients = gem_list::read(card)?;
        let stats = card.memory_stats()?;
        Ok(Self {
            counted: (stats.objects_live, stats::live(&stats)?),
            owned: owners::in_use(&owners::balanced(card)?),
            heaps: card.heaps()?,
            clients: clients.iter().filter(|client| client.id.is_some()).count(),
            buffers: clients.iter().map(|client| client.buffers.len()).sum(),
        })
    }

    /// As [`of`](Self::of), once every byte in use is a buffer's that somebody has a handle of, and stays
    /// so: nothing is on its way out.
    pub fn settled(card: &Card) -> Result<Self> {
        eventually(|| {
            let state = Self::of(card)?;
            // What is read one after the other may be of different moments.
            let again = Self::of(card)?;
            ensure!(again == state, "{state:?} became {again:?}");
            let listed: u64 = gem_list::read(card)?
                .iter()
                .flat_map(|client| &client.buffers)
                .map(|buffer| buffer.size)
                .sum();
            let used: u64 = state
                .heaps
                .iter()
                .map(|heap| heap.used - heap.reserved)
                .sum();
            ensure!(listed == used, "{listed} bytes listed: {state:?}");
            Ok(state)
        })
    }

    /// Waits until the card is as it was. The kernel frees some things in workers and tells nobody,
    /// so this has to ask again and again.
    pub fn await_return(&self, now: impl Fn() -> Result<Self>) -> Result<()> {
        eventually(|| {
            let now = now()?;
            ensure!(now == *self, "left behind: {now:?} was {self:?}");
            Ok(())
        })
    }
}

/// The virtual card's own view. One at a time has it: the control channel is closed when this is
/// dropped, so that programs that a test starts can open it.
pub struct Channel {
    card: VirtualCard,
    _turn: MutexGuard<'static, ()>,
}

impl Deref for Channel {
    type Target = VirtualCard;

    fn deref(&self) -> &VirtualCard {
        &self.card
    }
}

impl DerefMut for Channel {
    fn deref_mut(&mut self) -> &mut VirtualCard {
        &mut self.card
    }
}

/// Opens the control channel, when nobody else has it.
pub fn virtual_card() -> Result<Channel> {
    static TURN: Mutex<()> = Mutex::new(());
    // A test that panicked with the channel in hand has finished its request.
    let turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let card = VirtualCard::find()?.context("this VM's card has no control channel")?;
    Ok(Channel { card, _turn: turn })
}

impl Bench {
    /// What the card says about one heap.
    pub fn heap(&self, domain: pddgpu::Domain) -> Result<Heap> {
        let heaps = self.card.heaps()?;
        heaps
            .into_iter()
            .find(|h| h.domain == domain)
            .with_context(|| format!("no heap {domain}"))
    }

    /// Waits until a heap is in use as it was: VRAM that was freed or left is so only once the card is
    /// done with it.
    pub fn await_heap(&self, wanted: &Heap) -> Result<()> {
        eventually(|| {
            let now = self.heap(wanted.domain)?;
            ensure!(now == *wanted, "still in use: {now:?} was {wanted:?}");
            Ok(())
        })
    }
}
