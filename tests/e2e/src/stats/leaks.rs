// SPDX-License-Identifier: GPL-2.0

//! Buffers that somebody forgot.
//!
//! The settings make every buffer old enough, so that a test waits for the next check and never for
//! time to pass.

use std::collections::HashSet;

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{raw, Card, Create, CreateFlags, Domain, Domains, Leak, LeakState};

use crate::support::{
    child::{Child, Keep, Part, LEAKER},
    fixture::{trials, Bench},
    kmsg::Log,
    leaker::start_leaker,
    prime::{export, map, Imported},
    query::ask,
    stats::{await_leaks, client_id, report, Settings},
    user::{Opened, USER},
};

/// What the log says of each confirmed leak.
const CONFIRMED: &str = "leak confirmed: ";

/// Leaks that one check logs one by one.
const LOGGED_AT_ONCE: usize = 10;

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        a_kept_handle_is_suspected_then_confirmed,
        an_export_outlives_its_process,
        a_mapping_outlives_its_handle,
        a_mapped_dma_buf_is_both,
        a_dma_buf_may_go_first,
        everything_that_holds_a_buffer_is_counted,
        a_buffer_is_where_it_was_moved,
        each_leak_is_logged_once,
        many_leaks_are_summed_up,
        a_user_sees_but_his_own,
        the_answer_is_as_long_as_there_is_room,
    )
}

/// What keeps a buffer alive: handles, mappings, exports.
fn reasons(leak: &Leak) -> [u32; 3] {
    [leak.handles, leak.mappings, leak.exports]
}

/// Waits until a check confirmed so many leaks.
fn await_confirmed(card: &Card, count: usize) -> Result<Vec<Leak>> {
    let confirmed = |leaks: &[Leak]| {
        leaks.len() == count && leaks.iter().all(|l| l.state == LeakState::Confirmed)
    };
    await_leaks(card, confirmed, &format!("{count} confirmed leaks"))
}

fn ensure_by_child(leak: &Leak, child: &Child, size: u64) -> Result<()> {
    ensure!(leak.size == size, "{leak:?}");
    ensure!(leak.pid == child.pid(), "not {}: {leak:?}", child.pid());
    ensure!(leak.command == LEAKER, "{leak:?}");
    ensure!(leak.domains == Domains::VRAM, "{leak:?}");
    ensure!(leak.placement == Some(Domain::Vram), "{leak:?}");
    Ok(())
}

/// Checks what root reads of a leak that only a handle keeps.
fn ensure_listed(card: &Card, leak: &Leak, state: &str) -> Result<()> {
    let text = report(card, "pddgpu_leaks")?;
    let id = leak.id.to_string();
    let line = text
        .lines()
        .find(|line| line.split_whitespace().next() == Some(&id) && line.ends_with("handles 1"))
        .with_context(|| format!("{id} is not listed with its handle: {text}"))?;
    ensure!(line.contains(state), "not {state}: {line}");
    Ok(())
}

fn a_kept_handle_is_suspected_then_confirmed(bench: &Bench) -> Result<()> {
    let card = &bench.card;
    let settings = Settings::of(card)?;
    let mut log = Log::from_now()?;
    settings.prepare(LeakState::Suspected)?;
    let (child, _) = start_leaker(bench, Keep::Handle, 12 << 10)?;
    ensure!(
        card.leaks()?.is_empty(),
        "without a check: {:?}",
        card.leaks()?
    );

    settings.check()?;
    let suspected = await_leaks(card, |leaks| !leaks.is_empty(), "suspected leak")?;
    ensure!(suspected.len() == 1, "{suspected:?}");
    ensure!(suspected[0].state == LeakState::Suspected, "{suspected:?}");
    ensure_by_child(&suspected[0], &child, 12 << 10)?;
    ensure!(reasons(&suspected[0]) == [1, 0, 0], "{suspected:?}");
    ensure_listed(card, &suspected[0], "suspected")?;
    let stats = card.memory_stats()?;
    ensure!(
        (stats.suspected_leaks, stats.confirmed_leaks) == (1, 0),
        "{stats:?}"
    );

    settings.prepare(LeakState::Confirmed)?;
    settings.check()?;
    let confirmed = await_confirmed(card, 1)?;
    ensure_by_child(&confirmed[0], &child, 12 << 10)?;
    ensure!(reasons(&confirmed[0]) == [1, 0, 0], "{confirmed:?}");
    ensure!(confirmed[0].id == suspected[0].id, "{confirmed:?}");
    ensure!(confirmed[0].client == suspected[0].client, "{confirmed:?}");
    ensure!(confirmed[0].age_ms >= suspected[0].age_ms, "{confirmed:?}");
    ensure_listed(card, &confirmed[0], "confirmed")?;
    let stats = card.memory_stats()?;
    ensure!(
        (stats.suspected_leaks, stats.confirmed_leaks) == (0, 1),
        "{stats:?}"
    );
    let lines = log.wait_for(CONFIRMED, 1)?;
    ensure!(lines.len() == 1, "{lines:?}");
    let wanted = format!(
        "buffer {} of {} bytes, 0 s old, by {LEAKER}[{}], handles 1",
        confirmed[0].id,
        12 << 10,
        child.pid()
    );
    ensure!(lines[0].ends_with(&wanted), "no '{wanted}' in {lines:?}");

    child.finish()?;
    let left = await_leaks(card, <[Leak]>::is_empty, "end")?;
    let stats = card.memory_stats()?;
    ensure!(
        (stats.suspected_leaks, stats.confirmed_leaks) == (0, 0),
        "{left:?} {stats:?}"
    );
    Ok(())
}

fn an_export_outlives_its_process(bench: &Bench) -> Result<()> {
    let card = &bench.card;
    let settings = Settings::of(card)?;
    settings.prepare(LeakState::Confirmed)?;
    let (child, file) = start_leaker(bench, Keep::Export, 20 << 10)?;
    let file = child.take_file(&file)?;
    let pid = child.pid();
    child.finish()?;

    settings.check()?;
    let leaks = await_confirmed(card, 1)?;
    ensure!(reasons(&leaks[0]) == [0, 0, 1], "{leaks:?}");
    ensure!(!leaks[0].is_orphaned(), "{leaks:?}");
    ensure!(
        leaks[0].pid == pid && leaks[0].command == LEAKER,
        "not the process that ended: {leaks:?}"
    );

    // Whoever has the file can have the buffer back.
    let imported = Imported::new(card, &file)?;
    let leaks = card.leaks()?;
    ensure!(reasons(&leaks[0]) == [1, 0, 1], "{leaks:?}");
    ensure!(leaks[0].pid == pid, "importing is not creating: {leaks:?}");
    drop(file);
    drop(imported);
    await_leaks(card, <[Leak]>::is_empty, "end")?;
    Ok(())
}

fn a_mapping_outlives_its_handle(bench: &Bench) -> Result<()> {
    let card = &bench.card;
    let settings = Settings::of(card)?;
    settings.prepare(LeakState::Confirmed)?;
    let (child, _) = start_leaker(bench, Keep::Mapping, 24 << 10)?;
    settings.check()?;
    let leaks = await_confirmed(card, 1)?;
    ensure!(reasons(&leaks[0]) == [0, 1, 0], "{leaks:?}");
    ensure_by_child(&leaks[0], &child, 24 << 10)?;
    child.kill()?;
    await_leaks(card, <[Leak]>::is_empty, "end")?;
    Ok(())
}

/// A mapping of a dma-buf keeps the dma-buf, too.
fn a_mapped_dma_buf_is_both(bench: &Bench) -> Result<()> {
    let card = &bench.card;
    let settings = Settings::of(card)?;
    settings.prepare(LeakState::Confirmed)?;
    let buffer = card.create(Create::new(12288, Domains::GTT))?;
    let file = export(&buffer)?;
    let mut map = map(&file, 12288)?;
    buffer.close()?;
    drop(file);
    settings.check()?;
    let leaks = await_confirmed(card, 1)?;
    ensure!(reasons(&leaks[0]) == [0, 1, 1], "{leaks:?}");
    map.cut_in_two()?;
    let leaks = card.leaks()?;
    ensure!(reasons(&leaks[0]) == [0, 2, 1], "{leaks:?}");
    drop(map);
    await_leaks(card, <[Leak]>::is_empty, "end")?;
    Ok(())
}

fn a_dma_buf_may_go_first(bench: &Bench) -> Result<()> {
    let card = &bench.card;
    let settings = Settings::of(card)?;
    settings.prepare(LeakState::Confirmed)?;
    let buffer = card.create(Create::new(4096, Domains::GTT))?;
    let (map, file) = (buffer.map()?, export(&buffer)?);
    buffer.close()?;
    settings.check()?;
    let leaks = await_confirmed(card, 1)?;
    ensure!(reasons(&leaks[0]) == [0, 1, 1], "{leaks:?}");
    drop(file);
    let leaks = card.leaks()?;
    ensure!(reasons(&leaks[0]) == [0, 1, 0], "{leaks:?}");
    drop(map);
    Ok(())
}

fn everything_that_holds_a_buffer_is_counted(bench: &Bench) -> Result<()> {
    let card = &bench.card;
    let other = Card::open(card.path())?;
    let settings = Settings::of(card)?;
    settings.prepare(LeakState::Confirmed)?;
    let client = client_id(card)?;
    let buffer = card.create(Create::new(4096, Domains::GTT))?;
    settings.check()?;
    await_confirmed(card, 1)?;
    let check = |wanted: [u32; 3]| {
        let leaks = card.leaks()?;
        ensure!(leaks.len() == 1, "{leaks:?}");
        ensure!(reasons(&leaks[0]) == wanted, "not {wanted:?}: {leaks:?}");
        ensure!(leaks[0].client == client, "not {client}: {leaks:?}");
        ensure!(leaks[0].pid == std::process::id(), "{leaks:?}");
        Ok(())
    };
    check([1, 0, 0])?;
    let maps = [buffer.map()?, buffer.map()?];
    check([1, 2, 0])?;
    let file = export(&buffer)?;
    check([1, 2, 1])?;
    let again = export(&buffer)?;
    check([1, 2, 1])?;
    let imported = Imported::new(&other, &file)?;
    check([2, 2, 1])?;
    // A client that exported or imported a buffer keeps the dma-buf as long as its handle.
    drop((file, again));
    check([2, 2, 1])?;
    drop(maps);
    check([2, 0, 1])?;
    buffer.close()?;
    check([1, 0, 1])?;
    drop(imported);
    ensure!(card.leaks()?.is_empty(), "{:?}", card.leaks()?);
    Ok(())
}

fn a_buffer_is_where_it_was_moved(bench: &Bench) -> Result<()> {
    let card = &bench.card;
    let settings = Settings::of(card)?;
    settings.prepare(LeakState::Confirmed)?;
    let create = Create::new(4096, Domains::VRAM | Domains::CPU);
    let buffer = card.create(create.flags(CreateFlags::CPU_ACCESS_REQUIRED))?;
    settings.check()?;
    await_confirmed(card, 1)?;
    for domain in [Domain::Gtt, Domain::Cpu, Domain::Vram] {
        buffer.move_to(domain)?;
        let leaks = card.leaks()?;
        ensure!(leaks[0].placement == Some(domain), "{domain}: {leaks:?}");
        ensure!(leaks[0].domains == create.domains, "{leaks:?}");
    }
    Ok(())
}

/// The number of the buffer that a line of the log is about.
fn id_of(line: &str) -> Result<u64> {
    let (_, rest) = line.split_once("buffer ").context("about no buffer")?;
    Ok(rest.split(' ').next().unwrap_or_default().parse()?)
}

/// Those confirmed later show that there were more checks meanwhile.
fn each_leak_is_logged_once(bench: &Bench) -> Result<()> {
    let card = &bench.card;
    let settings = Settings::of(card)?;
    let mut log = Log::from_now()?;
    settings.prepare(LeakState::Confirmed)?;
    settings.check()?;
    let mut buffers = Vec::new();
    let mut lines = Vec::new();
    for count in 1..=LOGGED_AT_ONCE {
        buffers.push(card.create(Create::new(4096, Domains::CPU))?);
        await_confirmed(card, count)?;
        lines.extend(log.wait_for(CONFIRMED, 1)?);
    }
    let logged: Vec<_> = lines.iter().map(|l| id_of(l)).collect::<Result<_>>()?;
    let ids: Vec<_> = card.leaks()?.iter().map(|leak| leak.id).collect();
    ensure!(logged == ids, "{logged:?}, not {ids:?}");
    ensure!(ids.is_sorted(), "not the oldest first: {ids:?}");
    Ok(())
}

fn many_leaks_are_summed_up(bench: &Bench) -> Result<()> {
    let card = &bench.card;
    let settings = Settings::of(card)?;
    let mut log = Log::from_now()?;
    settings.prepare(LeakState::Confirmed)?;
    let mut buffers = Vec::new();
    for _ in 0..LOGGED_AT_ONCE + 7 {
        buffers.push(card.create(Create::new(4096, Domains::CPU))?);
    }
    settings.check()?;
    let lines = log.wait_for("confirmed", LOGGED_AT_ONCE + 1)?;
    ensure!(lines.len() == LOGGED_AT_ONCE + 1, "{lines:#?}");
    ensure!(
        lines[LOGGED_AT_ONCE].ends_with("7 more leaks confirmed"),
        "{lines:#?}"
    );
    let logged: HashSet<_> = lines[..LOGGED_AT_ONCE]
        .iter()
        .map(|line| id_of(line))
        .collect::<Result<_>>()?;
    ensure!(logged.len() == LOGGED_AT_ONCE, "{lines:#?}");
    let leaks = await_confirmed(card, buffers.len())?;
    ensure!(
        leaks[..LOGGED_AT_ONCE]
            .iter()
            .all(|l| logged.contains(&l.id)),
        "not the oldest were logged: {lines:#?} {leaks:?}"
    );

    // One more: the others are not said again.
    buffers.push(card.create(Create::new(4096, Domains::CPU))?);
    let lines = log.wait_for("confirmed", 1)?;
    ensure!(lines.len() == 1, "{lines:#?}");
    ensure!(!logged.contains(&id_of(&lines[0])?), "{lines:?}");
    Ok(())
}

fn a_user_sees_but_his_own(bench: &Bench) -> Result<()> {
    let card = &bench.card;
    let settings = Settings::of(card)?;
    settings.prepare(LeakState::Confirmed)?;
    let _node = Opened::set(card.path().into(), 0o666)?;
    let _buffer = card.create(Create::new(4096, Domains::GTT))?;
    let mut user = Child::start(Part::UnprivilegedLeak, card.path(), Some(USER))?;
    user.listen()?;
    settings.check()?;
    let leaks = await_confirmed(card, 2)?;
    let mut pids: Vec<_> = leaks.iter().map(|leak| leak.pid).collect();
    pids.sort_unstable();
    let mut wanted = [std::process::id(), user.pid()];
    wanted.sort_unstable();
    ensure!(pids == wanted, "{pids:?}, not {wanted:?}");
    user.finish()
}

fn the_answer_is_as_long_as_there_is_room(bench: &Bench) -> Result<()> {
    const HEAD: u32 = 8;
    const ONE: u32 = size_of::<raw::drm_pddgpu_leak>() as u32;
    let card = &bench.card;
    let settings = Settings::of(card)?;
    settings.prepare(LeakState::Confirmed)?;
    let mut buffers = Vec::new();
    for _ in 0..3 {
        buffers.push(card.create(Create::new(4096, Domains::CPU))?);
    }
    settings.check()?;
    await_confirmed(card, 3)?;

    let query = raw::DRM_PDDGPU_QUERY_LEAKS;
    let (_, full) = ask(bench, query, 0)?;
    ensure!(full == HEAD + 3 * ONE, "{full} bytes");
    let (whole, _) = ask(bench, query, full)?;
    ensure!(
        whole[..8] == [&3u32.to_ne_bytes()[..], &ONE.to_ne_bytes()[..]].concat(),
        "{whole:?}"
    );
    for room in [4, HEAD, HEAD + 8, HEAD + ONE, full - 1, full, full + 100] {
        let (answer, size) = ask(bench, query, room)?;
        ensure!(size == room.min(full), "{size} bytes in {room}");
        // Up to the first one's age, which grows, it is the same answer.
        let same = room.min(HEAD + 16) as usize;
        ensure!(answer[..same] == whole[..same], "{room}: {answer:?}");
        let rest = &answer[size as usize..];
        ensure!(
            rest.iter().all(|&b| b == rest[0]),
            "{room}: wrote past {size}"
        );
    }
    Ok(())
}
