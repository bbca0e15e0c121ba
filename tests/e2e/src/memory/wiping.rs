// SPDX-License-Identifier: GPL-2.0

//! What clients leave in VRAM is gone from the card soon, in whatever way they leave it.
//!
//! The driver begins to zero it within 10 ms. How long it takes then is a matter of how busy the engine
//! is, and the machine that emulates it.

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{raw, Buffer, Card, Create, CreateFlags, Domain, Domains, Features};

use crate::support::{
    child::{self, Child, Part},
    driver::Driver,
    fixture::{skip, trials, virtual_card, Bench},
    patience::eventually,
    stats::{await_zeroed, vram_reserve},
};

const PAGE: usize = 4096;

/// What each page of a buffer is full of. It is not found across two pages.
const SECRET: [u8; PAGE] = {
    let mut page = [0xc5; PAGE];
    page[0] = 0xc4;
    page
};

/// As much of one byte.
const BYTES: [u8; PAGE] = [0xc6; PAGE];

pub fn tests() -> Vec<Trial> {
    let mut tests = trials!(card_trial:
        closed_buffers_are_gone,
        buffers_of_closed_files_are_gone,
        buffers_of_processes_that_end_are_gone,
        buffers_that_moved_away_are_gone,
        memory_in_pieces_is_gone,
        full_memory_can_be_had_again_at_once,
        a_storm_in_full_memory_sees_and_keeps_nothing,
    );
    tests.extend(trials!(driver_trial: reserved_memory_is_zeroed_too));
    tests
}

/// Ends a test on a card where nobody zeroes memory in the background.
fn needs_engine(bench: &Bench) -> Result<()> {
    if !bench.device.features.contains(Features::COPY) {
        return skip("without an engine memory is zeroed when it is used again");
    }
    await_zeroed(&bench.card)
}

/// How often this is in VRAM, up to 2000 times.
fn count(bench: &Bench, page: &[u8; PAGE]) -> Result<usize> {
    let found = virtual_card()?.find_vram(page, 0, bench.device.vram_size, 2000)?;
    Ok(found.len())
}

fn await_gone(bench: &Bench, page: &[u8; PAGE]) -> Result<()> {
    eventually(|| {
        let left = count(bench, page)?;
        ensure!(left == 0, "it is still there {left} times");
        Ok(())
    })
}

/// Buffers of VRAM that are full of [`SECRET`].
fn soiled(bench: &Bench, card: &Card, number: usize, size: usize) -> Result<Vec<Buffer>> {
    let create = Create::new(size as u64, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let buffers: Vec<_> = (0..number)
        .map(|_| {
            let buffer = card.create(create)?;
            let mut map = buffer.map()?;
            for at in (0..size).step_by(PAGE) {
                map.write(at, &SECRET);
            }
            Ok(buffer)
        })
        .collect::<Result<_>>()?;
    ensure!(count(bench, &SECRET)? > 0, "it never was in VRAM");
    Ok(buffers)
}

fn closed_buffers_are_gone(bench: &Bench) -> Result<()> {
    needs_engine(bench)?;
    drop(soiled(bench, &bench.card, 20, 64 << 10)?);
    await_gone(bench, &SECRET)
}

/// Closing a file closes its handles.
fn buffers_of_closed_files_are_gone(bench: &Bench) -> Result<()> {
    needs_engine(bench)?;
    let card = Card::open(bench.card.path())?;
    let mut create = raw::drm_pddgpu_gem_create {
        size: 1 << 20,
        domain: Domains::VRAM.bits(),
        flags: (CreateFlags::CPU_ACCESS_REQUIRED | CreateFlags::VRAM_CONTIGUOUS).bits(),
        ..Default::default()
    };
    card.raw().gem_create(&mut create)?;
    let mut info = raw::drm_pddgpu_gem_info {
        handle: create.handle,
        ..Default::default()
    };
    card.raw().gem_info(&mut info)?;
    let offset = info.gpu_addr - bench.device.vram_start;
    virtual_card()?.fill_vram(offset, create.size, BYTES[0])?;
    ensure!(count(bench, &BYTES)? > 0, "it never was in VRAM");
    drop(card);
    await_gone(bench, &BYTES)
}

/// Thousands of buffers at once: by a kill, and by an exit.
fn buffers_of_processes_that_end_are_gone(bench: &Bench) -> Result<()> {
    needs_engine(bench)?;
    let ends: [fn(Child) -> Result<()>; 2] = [|child| child.kill().map(drop), Child::finish];
    for end in ends {
        let mut child = Child::start(Part::Soil, bench.card.path(), None)?;
        child.listen()?;
        let secret = [child::BYTE; PAGE];
        ensure!(count(bench, &secret)? > 100, "it never was in VRAM");
        end(child)?;
        await_gone(bench, &secret)?;
    }
    Ok(())
}

fn buffers_that_moved_away_are_gone(bench: &Bench) -> Result<()> {
    needs_engine(bench)?;
    let buffers = soiled(bench, &bench.card, 4, 256 << 10)?;
    for buffer in &buffers {
        buffer.move_to(Domain::Gtt)?;
    }
    await_gone(bench, &SECRET)
}

fn reserved_memory_is_zeroed_too(driver: &Driver) -> Result<()> {
    let card = Card::find()?;
    let bench = Bench {
        device: card.device()?,
        card,
    };
    let result = reserve_soiled(&bench);
    // Only what is bound anew has all its pages again.
    drop(bench);
    driver.unbind()?;
    driver.bind().context("bind")?;
    result
}

/// A reservation takes the memory as soon as its buffer is closed.
fn reserve_soiled(bench: &Bench) -> Result<()> {
    needs_engine(bench)?;
    let mut buffers = soiled(bench, &bench.card, 2, 16 * PAGE)?;
    let buffer = buffers.pop().context("no buffer")?;
    let start = buffer.info()?.gpu_addr.context("no address")? - bench.device.vram_start;
    let reserved = bench.heap(Domain::Vram)?.reserved;
    vram_reserve(&bench.card, start + PAGE as u64, PAGE as u64)?;
    drop((buffer, buffers));
    await_gone(bench, &SECRET)?;
    let now = bench.heap(Domain::Vram)?.reserved;
    ensure!(now == reserved + PAGE as u64, "{now} bytes are reserved");
    Ok(())
}

fn memory_in_pieces_is_gone(bench: &Bench) -> Result<()> {
    needs_engine(bench)?;
    let kept: Vec<_> = soiled(bench, &bench.card, 1500, PAGE)?
        .into_iter()
        .step_by(2)
        .collect();
    eventually(|| {
        // As many as the buffers that are left, and those are all there.
        let left = count(bench, &SECRET)?;
        ensure!(left == kept.len(), "{left} pages");
        Ok(())
    })?;
    drop(kept);
    await_gone(bench, &SECRET)
}

/// Nobody has to wait until memory was zeroed, nor gets what is not.
fn full_memory_can_be_had_again_at_once(bench: &Bench) -> Result<()> {
    needs_engine(bench)?;
    let heap = bench.heap(Domain::Vram)?;
    let room = heap.usable - (heap.used - heap.reserved);
    let create = Create::new(room / 4096 * 4096, Domains::VRAM);
    for _ in 0..20 {
        let buffer = bench.card.create(create)?;
        ensure!(buffer.info()?.placement == Domain::Vram, "not in VRAM");
        buffer.close()?;
    }
    Ok(())
}

/// One client has nearly all of VRAM. Another creates, uses and closes buffers in the rest without a
/// pause: none is refused or put elsewhere, nobody else is evicted, each is zero at first, and what a
/// third client has left there is gone soon all the same.
fn a_storm_in_full_memory_sees_and_keeps_nothing(bench: &Bench) -> Result<()> {
    const SIZE: u64 = 256 << 10;
    const ROOM: u64 = 16 * SIZE;

    needs_engine(bench)?;
    let heap = bench.heap(Domain::Vram)?;
    let left = heap.usable - (heap.used - heap.reserved);
    if bench.device.visible_size < 2 * ROOM {
        return skip("this card's aperture is too small");
    }
    let in_aperture =
        |size| Create::new(size, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let room: Vec<_> = (0..ROOM / SIZE)
        .map(|_| bench.card.create(in_aperture(SIZE)))
        .collect::<pddgpu::Result<_>>()?;
    let others = (0..(left - ROOM) / SIZE)
        .map(|_| bench.card.create(Create::new(SIZE, Domains::VRAM)))
        .collect::<pddgpu::Result<Vec<_>>>()?;
    let evictions = bench.card.memory_stats()?.evictions;
    drop(room);

    let card = Card::open(bench.card.path())?;
    let mut small = soiled(bench, &bench.card, 4, PAGE)?;
    for round in 0..400 {
        let buffer = card.create(in_aperture(SIZE))?;
        let mut map = buffer.map()?;
        let content = map.to_vec();
        ensure!(
            content.iter().all(|&byte| byte == 0),
            "round {round}: it was not zero"
        );
        map.write(0, &BYTES.repeat(SIZE as usize / PAGE));
        ensure!(
            buffer.info()?.placement == Domain::Vram,
            "round {round}: not in VRAM"
        );
        if round == 100 {
            small.clear();
        }
    }
    // While it goes on.
    for _ in 0..16 {
        drop(card.create(in_aperture(SIZE))?);
    }
    let found = count(bench, &SECRET)?;
    ensure!(found == 0, "what was left long ago is there {found} times");
    await_gone(bench, &BYTES)?;
    let now = bench.card.memory_stats()?.evictions;
    ensure!(now == evictions, "{} evictions", now - evictions);
    drop(others);
    Ok(())
}
