// SPDX-License-Identifier: GPL-2.0

//! What the statistics say of buffers that are alive when their card goes.

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{Card, Create, CreateFlags, Domain, Domains, LeakState, MemoryStats};

use crate::support::{
    driver::{self, Driver},
    fixture::trials,
    kmsg::Log,
    patience::eventually,
    prime::export,
    stats::{live, Settings},
};

/// Buffers that are reported one by one.
const LOGGED_AT_ONCE: usize = 10;

pub fn tests() -> Vec<Trial> {
    trials!(driver_trial:
        what_is_alive_is_reported,
        only_the_oldest_are_reported_one_by_one,
        nothing_alive_is_nothing_to_report,
        a_bound_card_starts_anew,
    )
}

/// Unbinds the card, and gives what was said of buffers still alive.
fn unbind(driver: &Driver) -> Result<Vec<String>> {
    let mut log = Log::from_now()?;
    driver.unbind()?;
    let lines = log.take()?.into_iter().map(|message| message.text);
    Ok(lines.filter(|line| line.contains("still alive")).collect())
}

fn what_is_alive_is_reported(driver: &Driver) -> Result<()> {
    let card = Card::find()?;
    let kept =
        card.create(Create::new(12 << 10, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED))?;
    let mapped = card.create(Create::new(20 << 10, Domains::GTT))?;
    let map = mapped.map()?;
    mapped.close()?;
    let exported = card.create(Create::new(28 << 10, Domains::CPU))?;
    let file = export(&exported)?;
    exported.close()?;

    let lines = unbind(driver)?;
    ensure!(lines.len() == 4, "{lines:#?}");
    ensure!(
        lines[0].ends_with("3 buffers of 61440 bytes still alive"),
        "{lines:#?}"
    );
    for (line, size, why) in [
        (&lines[1], 12 << 10, "handles 1"),
        (&lines[2], 20 << 10, "mappings 1"),
        (&lines[3], 28 << 10, "exports 1"),
    ] {
        let tail = format!(
            " of {size} bytes by pddgpu-e2e[{}], {why}",
            std::process::id()
        );
        ensure!(
            line.contains("still alive: buffer ") && line.ends_with(&tail),
            "no '{tail}': {line}"
        );
    }

    drop((kept, card, map, file));
    // With a buffer left, the module could not go.
    eventually(|| Ok(driver::unload()?)).context("unload, with nothing open any more")?;
    driver::load()
}

fn only_the_oldest_are_reported_one_by_one(driver: &Driver) -> Result<()> {
    let card = Card::find()?;
    let mut buffers = Vec::new();
    for number in 1..=LOGGED_AT_ONCE as u64 + 3 {
        buffers.push(card.create(Create::new(number * 4096, Domains::CPU))?);
    }
    let lines = unbind(driver)?;
    ensure!(lines.len() == LOGGED_AT_ONCE + 1, "{lines:#?}");
    ensure!(lines[0].contains(" 13 buffers of "), "{lines:#?}");
    for (line, number) in lines[1..].iter().zip(1..) {
        let size = format!(" of {} bytes by ", number * 4096);
        ensure!(line.contains(&size), "no '{size}': {line}");
    }
    Ok(())
}

fn nothing_alive_is_nothing_to_report(driver: &Driver) -> Result<()> {
    let card = Card::find()?;
    card.create(Create::new(4096, Domains::VRAM))?.close()?;
    drop(card);
    let lines = unbind(driver)?;
    ensure!(lines.is_empty(), "{lines:#?}");
    Ok(())
}

/// All that was counted on a card before it was unbound is not that of the card bound now.
fn a_bound_card_starts_anew(driver: &Driver) -> Result<()> {
    let old = Card::find()?;
    let mut kept = Vec::new();
    for domain in Domain::ALL {
        let create = Create::new(8192, domain.into()).flags(CreateFlags::CPU_ACCESS_REQUIRED);
        let buffer = old.create(create)?;
        buffer.move_to(Domain::Gtt)?;
        kept.push((buffer.map()?, buffer));
    }
    let failed = old.create(Create::new(1 << 42, Domains::all()));
    ensure!(failed.is_err(), "{failed:?}");
    Settings::of(&old)?.prepare(LeakState::Confirmed)?;
    unbind(driver)?;
    driver.bind().context("bind")?;

    let new = Card::find()?;
    let fresh = |stats: &MemoryStats| -> Result<()> {
        ensure!(live(stats)? == [0; 4], "{stats:?}");
        let free = MemoryStats {
            vram_free: stats.vram_free,
            gtt_free: stats.gtt_free,
            heaps: stats.heaps.clone(),
            ..Default::default()
        };
        ensure!(*stats == free, "{stats:?}");
        let used = |heap: &pddgpu::HeapStats| heap.allocated + heap.freed + heap.peak;
        ensure!(stats.heaps.iter().all(|heap| used(heap) == 0), "{stats:?}");
        Ok(())
    };
    fresh(&new.memory_stats()?)?;
    ensure!(new.leaks()?.is_empty(), "{:?}", new.leaks()?);
    // What goes now is not the new card's either.
    drop((kept, old));
    fresh(&new.memory_stats()?)
}
