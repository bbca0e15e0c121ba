// SPDX-License-Identifier: GPL-2.0

//! The copy engine: what it moves arrives, what it clears is zero.

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{virtual_card::pages, Buffer, Card, Create, CreateFlags, Domain, Domains};

use crate::support::{
    compare::{ensure_holds, ensure_same, ensure_zero},
    driver::Driver,
    engine::{ensure_card_sees, finish, is_busy, Counters},
    fixture::{skip, trials, virtual_card, Bench},
    patience::eventually,
    placement::{split_buffer, wipe},
    stats::await_zeroed,
};

pub fn tests() -> Vec<Trial> {
    let mut tests = trials!(card_trial:
        says_what_it_did,
        moves_arrive_whole,
        moves_of_hidden_buffers_arrive_whole,
        moves_of_split_buffers_arrive_whole,
        a_fault_moves_within_vram,
        cleared_memory_is_not_cleared_again,
        memory_that_was_left_is_cleared,
        closed_buffers_are_wiped,
    );
    tests.extend(trials!(driver_trial: a_new_driver_takes_no_memory_for_clean));
    tests
}

/// Bytes of buffers that are moved: one page, some, more than the engine moves at once, more than both
/// transfer windows hold.
const SIZES: [u64; 4] = [
    4 << 10,
    68 << 10,
    (2 << 20) + (4 << 10),
    (9 << 20) + (12 << 10),
];

/// Every move there is, one after the other.
const MOVES: [Domain; 7] = [
    Domain::Gtt,
    Domain::Vram,
    Domain::Cpu,
    Domain::Vram,
    Domain::Gtt,
    Domain::Cpu,
    Domain::Gtt,
];

fn says_what_it_did(bench: &Bench) -> Result<()> {
    wipe(bench)?;
    let wiped = Counters::read(&bench.card)?;
    let create = Create::new(3 << 20, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let buffer = bench.card.create(create)?;
    for domain in [Domain::Gtt, Domain::Vram, Domain::Cpu] {
        buffer.move_to(domain)?;
        finish(&buffer)?;
    }
    let moved = Counters::read(&bench.card)? - wiped;
    let wanted = Counters {
        copies: 3,
        copied: 9 << 20,
        // Interrupts may come so late that somebody has looked before.
        polled: moved.polled,
        // What it has left is zeroed after a while.
        clears: moved.clears,
        cleared: moved.cleared,
        ..Default::default()
    };
    ensure!(moved == wanted, "{moved:?}, not {wanted:?}");
    wipe(bench)?;
    let wiped = Counters::read(&bench.card)? - wiped;
    ensure!(
        wiped.clears >= 1 && [3 << 20, 6 << 20].contains(&wiped.cleared),
        "{wiped:?} for one or two places of 3 MiB that were left"
    );
    Ok(())
}

/// Has a buffer go everywhere, with new content before each move.
fn move_everywhere(bench: &Bench, buffer: &Buffer, seed: u64) -> Result<()> {
    let mut map = buffer.map()?;
    for (turn, domain) in MOVES.into_iter().enumerate() {
        let content = pages::pattern(seed + turn as u64, map.len());
        map.write(0, &content);
        buffer.move_to(domain)?;
        finish(buffer)?;
        let info = buffer.info()?;
        ensure!(info.placement == domain, "not in {domain}: {info:?}");
        ensure_card_sees(bench, buffer, &content, true)
            .and_then(|()| ensure_holds(&map, &content, "the mapping"))
            .with_context(|| format!("{} bytes, move {turn}", map.len()))?;
    }
    Ok(())
}

fn moves_arrive_whole(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    for (number, size) in SIZES.into_iter().enumerate() {
        for flags in [CreateFlags::empty(), CreateFlags::VRAM_CONTIGUOUS] {
            let flags = flags | CreateFlags::CPU_ACCESS_REQUIRED;
            let buffer = bench
                .card
                .create(Create::new(size, Domains::VRAM).flags(flags))?;
            let seed = 5000 + 100 * number as u64 + 10 * u64::from(flags.bits());
            move_everywhere(bench, &buffer, seed)?;
        }
    }
    Ok(())
}

/// What the CPU cannot reach only the card can write and read.
fn moves_of_hidden_buffers_arrive_whole(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    let flags = CreateFlags::NO_CPU_ACCESS | CreateFlags::VRAM_CONTIGUOUS;
    for (number, size) in SIZES.into_iter().enumerate() {
        let buffer = bench
            .card
            .create(Create::new(size, Domains::VRAM).flags(flags))?;
        let info = buffer.info()?;
        if info.visible != 0 {
            return skip("all of this card's VRAM is visible");
        }
        finish(&buffer)?;
        let content = pages::pattern(5500 + number as u64, usize::try_from(size)?);
        let offset = info.gpu_addr.context("no address")? - bench.device.vram_start;
        virtual_card()?.write_vram(offset, &content)?;
        for (turn, domain) in MOVES.into_iter().enumerate() {
            buffer.move_to(domain)?;
            finish(&buffer)?;
            ensure_card_sees(bench, &buffer, &content, false)
                .with_context(|| format!("{size} bytes, move {turn}"))?;
        }
    }
    Ok(())
}

fn moves_of_split_buffers_arrive_whole(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    let (buffer, _kept) = split_buffer(bench)?;
    move_everywhere(bench, &buffer, 5600)
}

fn a_fault_moves_within_vram(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    for (number, size) in SIZES.into_iter().enumerate() {
        let create = Create::new(size, Domains::VRAM).flags(CreateFlags::VRAM_CONTIGUOUS);
        let buffer = bench.card.create(create)?;
        let info = buffer.info()?;
        if info.visible != 0 {
            return skip("all of this card's VRAM is visible");
        }
        finish(&buffer)?;
        let content = pages::pattern(5700 + number as u64, usize::try_from(size)?);
        let offset = info.gpu_addr.context("no address")? - bench.device.vram_start;
        virtual_card()?.write_vram(offset, &content)?;

        let before = Counters::read(&bench.card)?;
        ensure_holds(&buffer.map()?, &content, "a hidden buffer, mapped")?;
        let moved = Counters::read(&bench.card)? - before;
        ensure!((moved.copies, moved.copied) == (1, size), "{moved:?}");
        let info = buffer.info()?;
        ensure!(
            info.placement == Domain::Vram && info.visible == size,
            "{info:?}"
        );
        ensure_card_sees(bench, &buffer, &content, false)?;
    }
    Ok(())
}

/// Creates a buffer in the only room of the aperture where it fits: gives what takes up the rest.
fn take_all_but(bench: &Bench, size: u64) -> Result<(Buffer, Buffer)> {
    let create = Create::new(size, Domains::VRAM)
        .flags(CreateFlags::CPU_ACCESS_REQUIRED | CreateFlags::VRAM_CONTIGUOUS);
    let buffer = bench.card.create(create)?;
    let heap = bench.heap(Domain::Vram)?;
    let room = (heap.visible_total - heap.visible_used).min(heap.usable - size);
    let rest = bench
        .card
        .create(Create::new(room, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED))?;
    Ok((buffer, rest))
}

fn cleared_memory_is_not_cleared_again(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    wipe(bench)?;
    let before = Counters::read(&bench.card)?;
    let mut buffers = Vec::new();
    for size in SIZES {
        for flags in [CreateFlags::empty(), CreateFlags::VRAM_CONTIGUOUS] {
            let create = Create::new(size, Domains::VRAM).flags(flags);
            let buffer = bench.card.create(create)?;
            ensure!(!is_busy(&buffer)?, "there is nothing to wait for");
            buffers.push(buffer);
        }
    }
    let done = Counters::read(&bench.card)? - before;
    ensure!(done == Counters::default(), "{done:?}");
    Ok(())
}

fn memory_that_was_left_is_cleared(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    let size = 1 << 20;
    wipe(bench)?;
    let (buffer, _rest) = take_all_but(bench, size)?;
    let place = buffer.info()?.gpu_addr.context("no address")?;
    let used = bench.heap(Domain::Vram)?;
    let content = pages::pattern(5800, size as usize);
    buffer.map()?.write(0, &content);
    let before = Counters::read(&bench.card)?;
    buffer.move_to(Domain::Gtt)?;
    finish(&buffer)?;
    eventually(|| {
        let now = bench.heap(Domain::Vram)?;
        ensure!(now.used + size == used.used, "still there: {now:?}");
        Ok(())
    })?;

    let next = bench.card.create(
        Create::new(size, Domains::VRAM)
            .flags(CreateFlags::CPU_ACCESS_REQUIRED | CreateFlags::VRAM_CONTIGUOUS),
    )?;
    finish(&next)?;
    let info = next.info()?;
    ensure!(
        info.gpu_addr == Some(place),
        "there was room elsewhere: {info:?}"
    );
    // By the creation, or before.
    let done = Counters::read(&bench.card)? - before;
    ensure!(done.cleared == size, "{done:?}");
    ensure_zero(&next.map()?, "memory that another buffer left")?;
    ensure_holds(&buffer.map()?, &content, "the other buffer")
}

fn closed_buffers_are_wiped(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    for (number, size) in SIZES.into_iter().enumerate() {
        for flags in [CreateFlags::CPU_ACCESS_REQUIRED, CreateFlags::NO_CPU_ACCESS] {
            let empty = bench.heap(Domain::Vram)?;
            let flags = flags | CreateFlags::VRAM_CONTIGUOUS;
            let buffer = bench
                .card
                .create(Create::new(size, Domains::VRAM).flags(flags))?;
            finish(&buffer)?;
            let offset = buffer.info()?.gpu_addr.context("no address")? - bench.device.vram_start;
            let content = pages::pattern(5900 + number as u64, usize::try_from(size)?);
            virtual_card()?.write_vram(offset, &content)?;
            buffer.close()?;
            bench.await_heap(&empty)?;
            eventually(|| {
                let seen = virtual_card()?.read_vram(offset, content.len())?;
                ensure_same(
                    &seen,
                    &vec![0; content.len()],
                    "the card's view, once closed",
                )
            })?;
        }
    }
    Ok(())
}

/// Nobody knows what the card was used for before.
fn a_new_driver_takes_no_memory_for_clean(driver: &Driver) -> Result<()> {
    let device = {
        let card = Card::find()?;
        Counters::read(&card)?;
        card.device()?
    };
    driver.unbind()?;
    let end = device.vram_size - (16 << 20);
    {
        let mut card = virtual_card()?;
        card.fill_vram(0, 16 << 20, 0xdb)?;
        card.fill_vram(end, 16 << 20, 0xdb)?;
    }
    driver.bind().context("bind")?;

    let card = Card::find()?;
    let mut buffers = Vec::new();
    for flags in [CreateFlags::CPU_ACCESS_REQUIRED, CreateFlags::NO_CPU_ACCESS] {
        let size = 1 << 20;
        let flags = flags | CreateFlags::VRAM_CONTIGUOUS;
        let buffer = card.create(Create::new(size, Domains::VRAM).flags(flags))?;
        finish(&buffer)?;
        let offset = buffer.info()?.gpu_addr.context("no address")? - device.vram_start;
        let seen = virtual_card()?.read_vram(offset, size as usize)?;
        ensure_same(&seen, &vec![0; size as usize], "the first buffer")?;
        buffers.push(buffer);
    }
    // And all the rest but what the driver has itself.
    await_zeroed(&card)?;
    let own = card.heaps()?[0].reserved;
    let free = virtual_card()?.find_vram(&[0xdb; 4096], own, device.vram_size - own, 1)?;
    ensure!(free.is_empty(), "still there: {free:#x?}");
    Ok(())
}
