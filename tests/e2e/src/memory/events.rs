// SPDX-License-Identifier: GPL-2.0

//! Events: what clients are told about their memory.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{raw, Advice, Buffer, Card, Create, Domain, Domains, Event, Events};
use rustix::{
    event::{poll, PollFd, PollFlags, Timespec},
    fs::{fcntl_getfl, fcntl_setfl, OFlags},
    io::Errno,
};

use crate::support::{
    cgroup::has_dmem,
    fixture::{trials, Bench},
    patience::eventually,
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        what_is_displaced_and_returned_is_told,
        what_is_purged_is_told,
        budgets_that_change_are_told,
        a_slow_reader_misses_nothing,
        only_what_is_asked_for_is_told,
        rejects_what_makes_no_sense,
        watch_prints_events,
    )
}

/// Takes all events that there are, and waits for the first one.
fn read(card: &Card) -> Result<Vec<Event>> {
    ensure!(is_readable(card, 10_000)?, "no event came in 10 s");
    Ok(card.read_events()?)
}

fn is_readable(card: &Card, ms: u64) -> Result<bool> {
    let timeout = Timespec::try_from(Duration::from_millis(ms))?;
    let mut files = [PollFd::new(card, PollFlags::IN)];
    Ok(poll(&mut files, Some(&timeout))? == 1)
}

fn part(bench: &Bench, whole: u64) -> Result<u64> {
    Ok(bench.heap(Domain::Vram)?.usable / whole / 4096 * 4096)
}

fn id(buffer: &Buffer) -> Result<u64> {
    let mut args = raw::drm_pddgpu_gem_info {
        handle: buffer.handle(),
        ..Default::default()
    };
    buffer.card().raw().gem_info(&mut args)?;
    Ok(args.id)
}

fn what_is_displaced_and_returned_is_told(bench: &Bench) -> Result<()> {
    let size = part(bench, 4)?;
    let card = &bench.card;
    card.subscribe(Events::DISPLACED | Events::RETURNED, 0)?;
    let create = |card: &Card| card.create(Create::new(size, Domains::VRAM));
    let set = [create(card)?, create(card)?, create(card)?];
    // What the client does itself is no displacement, and a return is one.
    set[0].move_to(Domain::Cpu)?;
    ensure!(!is_readable(card, 0)?, "{:?}", card.read_events()?);
    set[0].move_to(Domain::Vram)?;
    let own = read(card)?;
    ensure!(own.len() == 1 && own[0].kind == Events::RETURNED, "{own:?}");
    ensure!((own[0].sequence, own[0].count) == (1, 1), "{own:?}");
    ensure!(own[0].buffer == Some(id(&set[0])?), "{own:?}");

    let other = Card::open(card.path())?;
    let hog = [create(&other)?, create(&other)?];
    let displaced = read(card)?;
    let first = &displaced[0];
    ensure!(first.kind == Events::DISPLACED, "{displaced:?}");
    ensure!((first.sequence, first.count, first.bytes) == (1, 1, size));
    ensure!(first.buffer == Some(id(&set[1])?), "{displaced:?}");
    // A card's GTT may be too small for it.
    ensure!(first.from == Some(Domain::Vram) && first.to != first.from);
    drop((hog, other));
    if has_dmem()? {
        // Here the driver leaves it to the client.
        set[1].move_to(Domain::Vram)?;
    }
    let returned = read(card)?;
    let last = returned.last().context("one came")?;
    ensure!(
        last.kind == Events::RETURNED && last.to == Some(Domain::Vram),
        "{returned:?}"
    );
    ensure!((last.sequence, last.count) == (2, 1), "{returned:?}");
    Ok(())
}

fn what_is_purged_is_told(bench: &Bench) -> Result<()> {
    let size = part(bench, 4)?;
    bench.card.subscribe(Events::all(), u64::MAX)?;
    let cache = bench.card.create(Create::new(size, Domains::VRAM))?;
    cache.advise(Advice::DontNeed)?;
    let other = Card::open(bench.card.path())?;
    let _rest = other.create(Create::new(size, Domains::VRAM))?;
    let _more = other.create(Create::new(size * 5 / 2 / 4096 * 4096, Domains::VRAM))?;
    let events = read(&bench.card)?;
    ensure!(
        events.len() == 1 && events[0].kind == Events::PURGED,
        "{events:?}"
    );
    ensure!(events[0].buffer == Some(id(&cache)?) && events[0].bytes == size);
    Ok(())
}

fn budgets_that_change_are_told(bench: &Bench) -> Result<()> {
    let size = part(bench, 8)?;
    let card = &bench.card;
    let usable = bench.heap(Domain::Vram)?.usable;
    card.subscribe(Events::BUDGET, size / 2)?;
    let other = Card::open(card.path())?;
    let buffer = other.create(Create::new(size, Domains::VRAM))?;
    let events = read(card)?;
    ensure!(events[0].kind == Events::BUDGET, "{events:?}");
    ensure!(
        events[0].bytes / 4096 == (usable - size) / 4096,
        "{events:?}"
    );
    // Less than what was asked for.
    let _small = other.create(Create::new(4096, Domains::VRAM))?;
    drop(buffer);
    let events = read(card)?;
    ensure!(events[0].bytes / 4096 == usable / 4096 - 1, "{events:?}");
    ensure!(
        (events[0].sequence, events[0].count) == (2, 1),
        "{events:?}"
    );
    Ok(())
}

fn a_slow_reader_misses_nothing(bench: &Bench) -> Result<()> {
    const ROUNDS: u64 = 300;
    let card = &bench.card;
    let buffer = card.create(Create::new(8192, Domains::VRAM))?;
    card.subscribe(Events::RETURNED, 0)?;
    for _ in 0..ROUNDS {
        buffer.move_to(Domain::Gtt)?;
        buffer.move_to(Domain::Vram)?;
    }
    let (mut sequence, mut bytes, mut merged) = (0, 0, 0);
    while sequence < ROUNDS {
        for event in read(card)? {
            ensure!(event.kind == Events::RETURNED, "{event:?}");
            ensure!(
                event.sequence == sequence + event.count,
                "{event:?} after {sequence}"
            );
            ensure!(event.buffer == Some(id(&buffer)?), "{event:?}");
            sequence = event.sequence;
            bytes += event.bytes;
            merged += u64::from(event.count > 1);
        }
    }
    ensure!(
        (sequence, bytes) == (ROUNDS, ROUNDS * 8192),
        "{sequence}, {bytes}"
    );
    ensure!(merged > 0, "there was room for all of them");
    ensure!(!is_readable(card, 0)?, "more than there were");
    Ok(())
}

fn only_what_is_asked_for_is_told(bench: &Bench) -> Result<()> {
    let card = &bench.card;
    let buffer = card.create(Create::new(4096, Domains::VRAM))?;
    let round = || -> Result<()> {
        buffer.move_to(Domain::Gtt)?;
        Ok(buffer.move_to(Domain::Vram)?)
    };
    round()?;
    ensure!(!is_readable(card, 0)?, "told without being asked");
    card.subscribe(Events::DISPLACED, 0)?;
    round()?;
    ensure!(!is_readable(card, 0)?, "told something else");
    card.subscribe(Events::RETURNED, 0)?;
    round()?;
    ensure!(read(card)?.len() == 1);
    card.subscribe(Events::empty(), 0)?;
    round()?;
    ensure!(!is_readable(card, 0)?, "told no more");
    // Nobody waits who does not want to.
    fcntl_setfl(card, fcntl_getfl(card)? | OFlags::NONBLOCK)?;
    let errno = card.read_events().err().and_then(|err| err.errno());
    ensure!(errno == Some(Errno::AGAIN), "{errno:?}");
    // What is not read goes with the file.
    let other = Card::open(card.path())?;
    other.subscribe(Events::all(), 0)?;
    let unread = other.create(Create::new(4096, Domains::VRAM))?;
    unread.move_to(Domain::Gtt)?;
    unread.move_to(Domain::Vram)?;
    eventually(|| {
        ensure!(is_readable(&other, 0)?, "nothing came");
        Ok(())
    })
}

fn rejects_what_makes_no_sense(bench: &Bench) -> Result<()> {
    let subscribe = |mask, pad| {
        let args = raw::drm_pddgpu_subscribe {
            mask,
            pad,
            threshold: 0,
        };
        bench.card.raw().subscribe(args)
    };
    for (mask, pad) in [(0x40, 0), (1 << 31, 0), (u32::MAX, 0), (1, 1), (0, 1)] {
        ensure!(
            subscribe(mask, pad) == Err(Errno::INVAL),
            "{mask:#x}, {pad}"
        );
    }
    Ok(subscribe(raw::DRM_PDDGPU_EVENTS_ALL, 0)?)
}

fn watch_prints_events(bench: &Bench) -> Result<()> {
    let size = part(bench, 4)?;
    let mut child = Command::new("pddgpuctl")
        .args(["watch", "--json", "--count", "1", "--threshold", "1M"])
        .stdout(Stdio::piped())
        .spawn()
        .context("pddgpuctl")?;
    let mut line = String::new();
    let output = child.stdout.take().context("it has an output")?;
    std::thread::scope(|scope| -> Result<()> {
        let reader = scope.spawn(|| BufReader::new(output).read_line(&mut line));
        // Nobody tells when it has subscribed, so the budget changes until it is heard.
        while !reader.is_finished() {
            let _buffer = bench.card.create(Create::new(size, Domains::VRAM))?;
            std::thread::sleep(Duration::from_millis(250));
        }
        Ok(())
    })?;
    ensure!(child.wait()?.success(), "it failed");
    let event: serde_json::Value = serde_json::from_str(&line)?;
    ensure!(
        event["kind"][0] == "BUDGET" && event["sequence"] == 1,
        "{event}"
    );
    Ok(())
}
