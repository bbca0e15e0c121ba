// SPDX-License-Identifier: GPL-2.0

//! `/proc/PID/fdinfo`, from which `gputop`, `nvtop` and others take what they show of a client.

use std::os::fd::AsFd;

use anyhow::{ensure, Result};
use libtest_mimic::Trial;
use pddgpu::{Card, Create, Deadline, Domain, Domains, Features};

use crate::support::{
    driver::slot,
    fdinfo::Fdinfo,
    fixture::{trials, Bench},
    nodes::set_client_name,
    prime::{export, Imported},
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        names_the_client,
        counts_buffers_where_they_are,
        counts_shared_buffers_for_each_client,
        follows_buffers_that_move,
        adds_up_to_the_heaps,
        tells_the_time_of_the_engine,
    )
}

const SIZE: u64 = 1 << 20;

/// The name of a domain in the keys.
fn region(domain: Domain) -> &'static str {
    match domain {
        Domain::Vram => "vram",
        Domain::Gtt => "gtt",
        Domain::Cpu => "cpu",
    }
}

/// Checks what a client has in a domain: in total, shared, resident and active.
fn ensure_has(card: &Card, domain: Domain, expected: [u64; 4]) -> Result<()> {
    let info = Fdinfo::of(card.as_fd())?;
    let region = region(domain);
    let mut found = [0; 4];
    for (value, kind) in found
        .iter_mut()
        .zip(["total", "shared", "resident", "active"])
    {
        *value = info.bytes(&format!("drm-{kind}-{region}"))?;
    }
    ensure!(found == expected, "{domain}: {found:?}, not {expected:?}");
    Ok(())
}

fn names_the_client(bench: &Bench) -> Result<()> {
    let before = Fdinfo::of(bench.card.as_fd())?;
    ensure!(before.get("drm-driver")? == "pddgpu");
    ensure!(before.get("drm-pdev")? == slot(&bench.card)?);
    let id: u64 = before.get("drm-client-id")?.parse()?;
    let other = Card::open(bench.card.path())?;
    ensure!(Fdinfo::of(other.as_fd())?.get("drm-client-id")? != id.to_string());
    set_client_name(&other, "a-test")?;
    ensure!(Fdinfo::of(other.as_fd())?.get("drm-client-name")? == "a-test");
    // What would look like lines of its own, or is too long, is no name.
    let long = "n".repeat(65);
    for name in ["two words", "a\nb", "a\0b", long.as_str()] {
        ensure!(set_client_name(&other, name).is_err(), "{name:?} is a name");
    }
    ensure!(Fdinfo::of(other.as_fd())?.get("drm-client-name")? == "a-test");
    set_client_name(&other, "")?;
    ensure!(Fdinfo::of(other.as_fd())?.get("drm-client-name").is_err());
    Ok(())
}

fn counts_buffers_where_they_are(bench: &Bench) -> Result<()> {
    for domain in Domain::ALL {
        ensure_has(&bench.card, domain, [0; 4])?;
        let buffer = bench.card.create(Create::new(SIZE, domain.into()))?;
        buffer.wait(Deadline::NEVER)?;
        ensure_has(&bench.card, domain, [SIZE, 0, SIZE, 0])?;
        let more = bench.card.create(Create::new(2 * SIZE, domain.into()))?;
        more.wait(Deadline::NEVER)?;
        ensure_has(&bench.card, domain, [3 * SIZE, 0, 3 * SIZE, 0])?;
        drop(buffer);
        ensure_has(&bench.card, domain, [2 * SIZE, 0, 2 * SIZE, 0])?;
    }
    for domain in Domain::ALL {
        ensure_has(&bench.card, domain, [0; 4])?;
    }
    Ok(())
}

fn counts_shared_buffers_for_each_client(bench: &Bench) -> Result<()> {
    let buffer = bench.card.create(Create::new(SIZE, Domain::Gtt.into()))?;
    let other = Card::open(bench.card.path())?;
    ensure_has(&other, Domain::Gtt, [0; 4])?;
    {
        let shared = export(&buffer)?;
        ensure_has(&bench.card, Domain::Gtt, [SIZE, SIZE, SIZE, 0])?;
        let _imported = Imported::new(&other, &shared)?;
        drop(shared);
        ensure_has(&bench.card, Domain::Gtt, [SIZE, SIZE, SIZE, 0])?;
        ensure_has(&other, Domain::Gtt, [SIZE, SIZE, SIZE, 0])?;
    }
    // The DRM core keeps the dma-buf with the handle that it was made of.
    ensure_has(&bench.card, Domain::Gtt, [SIZE, SIZE, SIZE, 0])?;
    ensure_has(&other, Domain::Gtt, [0; 4])
}

fn follows_buffers_that_move(bench: &Bench) -> Result<()> {
    let buffer = bench.card.create(Create::new(
        SIZE,
        Domains::VRAM | Domains::GTT | Domains::CPU,
    ))?;
    let displaced = |bytes: u64| -> Result<()> {
        let found = Fdinfo::of(bench.card.as_fd())?.bytes("pddgpu-displaced-vram")?;
        ensure!(found == bytes, "{found} bytes displaced, not {bytes}");
        Ok(())
    };
    for domain in [Domain::Gtt, Domain::Cpu, Domain::Vram] {
        buffer.move_to(domain)?;
        buffer.wait(Deadline::NEVER)?;
        for other in Domain::ALL {
            let bytes = if other == domain { SIZE } else { 0 };
            ensure_has(&bench.card, other, [bytes, 0, bytes, 0])?;
        }
        // It was asked for, so it is where it should be.
        displaced(0)?;
    }

    // Whoever needs the room takes it.
    let heaps = bench.card.heaps()?;
    let room = heaps.iter().find(|heap| heap.domain == Domain::Vram);
    let hog = Create::new(room.map_or(0, |heap| heap.usable), Domain::Vram.into());
    let other = Card::open(bench.card.path())?;
    let _hog = other.create(hog)?;
    displaced(SIZE)?;
    let requested = Fdinfo::of(bench.card.as_fd())?.bytes("pddgpu-requested-vram")?;
    ensure!(requested == SIZE, "{requested} bytes requested");
    ensure_has(&bench.card, Domain::Vram, [SIZE, 0, 0, 0])
}

fn adds_up_to_the_heaps(bench: &Bench) -> Result<()> {
    let cards = [
        Card::open(bench.card.path())?,
        Card::open(bench.card.path())?,
    ];
    let mut buffers = Vec::new();
    for (index, card) in cards.iter().chain([&bench.card]).enumerate() {
        for domain in Domain::ALL {
            buffers.push(card.create(Create::new((index as u64 + 1) * SIZE, domain.into()))?);
        }
    }
    let imported = Imported::new(&cards[0], export(&buffers[3])?)?;
    for heap in bench.card.heaps()? {
        let region = region(heap.domain);
        let mut sum = heap.reserved;
        for card in cards.iter().chain([&bench.card]) {
            sum += Fdinfo::of(card.as_fd())?.bytes(&format!("drm-resident-{region}"))?;
        }
        if heap.domain == Domain::Vram {
            // Two clients have it.
            sum -= buffers[3].info()?.size;
        }
        ensure!(sum == heap.used, "{region}: {sum}, not {}", heap.used);
    }
    drop(imported);
    Ok(())
}

fn tells_the_time_of_the_engine(bench: &Bench) -> Result<()> {
    let time = |card: &Card| Fdinfo::of(card.as_fd())?.ns("drm-engine-copy");
    if !bench.device.features.contains(Features::COPY) {
        ensure!(time(&bench.card).is_err(), "there is no engine");
        return Ok(());
    }
    ensure!(Fdinfo::of(bench.card.as_fd())?.get("drm-engine-capacity-copy")? == "1");
    let other = Card::open(bench.card.path())?;
    let buffer = bench
        .card
        .create(Create::new(4 * SIZE, Domain::Vram.into()))?;
    buffer.move_to(Domain::Gtt)?;
    buffer.wait(Deadline::NEVER)?;
    let once = time(&bench.card)?;
    ensure!(once > 0, "the engine has worked");
    for domain in [Domain::Vram, Domain::Gtt] {
        buffer.move_to(domain)?;
        buffer.wait(Deadline::NEVER)?;
    }
    ensure!(time(&bench.card)? > once, "the engine has worked more");
    ensure!(time(&other)? == 0, "not for the other one");
    Ok(())
}
