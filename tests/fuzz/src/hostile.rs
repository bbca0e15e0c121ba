// SPDX-License-Identifier: GPL-2.0

//! The driver against a card that lies, with clients at work.
//!
//! Whatever the card says, nothing may hang or crash, no client may see what another one has
//! written, and the machine's memory stays as it is.

mod client;
mod memory;

use std::{
    fs,
    ops::Range,
    process::ExitCode,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure, Context, Result};
use pddgpu::{virtual_card::VirtualCard, Card};
use pddgpu_e2e::support::{
    driver::Driver,
    fixture::State,
    kmsg::{fail_on_alarms, Log},
    nodes::use_every_ioctl,
};

use crate::shared::Shared;

use self::{client::Client, memory::Canary};

/// Clients that work at the same time.
const CLIENTS: u64 = 3;

/// The longest that anything may take. The driver resets a card that makes no progress for three
/// seconds, and gives it up the third time; the rest is for a machine that emulates another.
const PATIENCE: Duration = Duration::from_secs(20);

/// Seeds between two looks at whether all is well.
const BETWEEN: u64 = 20;

/// What became of the seeds.
#[derive(Debug, Default)]
struct Tally {
    seeds: u64,
    probed: u64,
    operations: u64,
    refused: u64,
    longest: Duration,
}

/// Plays a client in a process of its own.
pub fn play_client(number: u64) -> ExitCode {
    match client::play(number) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Tries all seeds.
///
/// # Errors
///
/// For the first seed with which something is wrong.
pub fn run(shared: &Shared, seeds: Range<u64>) -> Result<()> {
    let mut card = VirtualCard::find()?.context("this VM's card has no control channel")?;
    let before = State::of(&Card::find()?)?;
    let driver = Driver::find()?;
    let canary = Canary::new()?;
    let mut log = Log::from_now()?;
    let mut tally = Tally::default();
    let mut told = Instant::now();

    driver.unbind()?;
    for seed in seeds.clone() {
        shared.alive.fetch_add(1, Relaxed);
        let result = one(&driver, &mut card, seed, &mut tally);
        let alarms = log.take().and_then(|lines| fail_on_alarms(&lines));
        alarms.and(result).with_context(|| format!("seed {seed}"))?;
        if tally.seeds % BETWEEN == 0 {
            look(&driver, &before, &canary).with_context(|| format!("after seed {seed}"))?;
        }
        if told.elapsed() > Duration::from_secs(10) {
            println!("{tally:?}, {} lies", card.lies()?);
            told = Instant::now();
        }
    }
    look(&driver, &before, &canary)?;
    driver.restore()?;
    let lies = card.lies()?;
    println!("{tally:?}, {lies} lies");
    ensure!(
        // Of a few seeds all may let the driver probe the card.
        lies > 20 * tally.seeds
            && tally.probed > 0
            && (tally.seeds < 100 || tally.probed < tally.seeds),
        "too few lies, or all of one sort: {tally:?}, {lies} lies"
    );
    Ok(())
}

/// Measures how long something takes, and fails if that is too long.
fn in_time<T>(tally: &mut Tally, what: &str, run: impl FnOnce() -> T) -> Result<T> {
    let began = Instant::now();
    let result = run();
    let took = began.elapsed();
    tally.longest = tally.longest.max(took);
    ensure!(took < PATIENCE, "{what} took {took:?}");
    Ok(result)
}

/// Has the card lie in one way, from before it is bound until after it is unbound.
fn one(driver: &Driver, card: &mut VirtualCard, seed: u64, tally: &mut Tally) -> Result<()> {
    tally.seeds += 1;
    fs::write("/dev/kmsg", format!("pddgpu-fuzz: hostile seed {seed}\n")).context("/dev/kmsg")?;
    card.set_hostile(Some(seed))?;
    // Most cards like this are refused.
    let bound = in_time(tally, "bind", || driver.bind())?.is_ok();
    let mut result = Ok(());
    if bound {
        tally.probed += 1;
        result = work(driver, seed, tally);
        if driver.is_bound() {
            let unbound = in_time(tally, "unbind", || driver.unbind())?;
            result = result.and(unbound);
        }
    }
    card.set_hostile(None)?;
    result
}

/// Has clients use the card. With every second seed it is unbound in the middle of that.
fn work(driver: &Driver, seed: u64, tally: &mut Tally) -> Result<()> {
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        clients.push(Client::start(seed * CLIENTS + number)?);
    }
    let began = Instant::now();
    if seed % 2 == 0 {
        clients[0].await_turns(4, PATIENCE)?;
        in_time(tally, "unbind under load", || driver.unbind())??;
    }
    for client in clients {
        let left = (2 * PATIENCE).saturating_sub(began.elapsed());
        let report = client.finish(left)?;
        tally.operations += report.operations;
        tally.refused += report.refused;
        tally.longest = tally.longest.max(report.longest);
        if report.longest > PATIENCE {
            bail!("{} took {:?}", report.slowest, report.longest);
        }
    }
    Ok(())
}

/// Checks that the card works when it is honest again, and that the machine's memory is as it was.
fn look(driver: &Driver, before: &State, canary: &Canary) -> Result<()> {
    canary.check()?;
    driver.bind().context("bind of an honest card")?;
    {
        let card = Card::find()?;
        use_every_ioctl(&card).context("use of an honest card")?;
    }
    before.await_return(|| State::of(&Card::find()?))?;
    driver.unbind()
}
