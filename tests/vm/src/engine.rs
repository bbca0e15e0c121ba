// SPDX-License-Identifier: GPL-2.0

//! The copy engine: what it moves arrives, what it clears is zero.

use std::{ops::Sub, thread::ScopedJoinHandle};

use anyhow::{anyhow, ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{
    virtual_card::{pages, Injection, VirtualCard},
    Buffer, Card, Create, CreateFlags, Deadline, Domain, Domains, Info,
};

use crate::{
    compare::{ensure_holds, ensure_same, ensure_zero},
    content::split_buffer,
    driver::Driver,
    fixture::{eventually, skip, trials, virtual_card, Bench, PATIENCE},
    gem_info::wipe,
    stats::report,
};

/// The register with the VRAM offset of the GART's table.
const GART_TABLE_BASE: u64 = 0x110;

/// The bits of a GART entry that are a bus address.
const BUS_ADDRESS: u64 = 0xf_ffff_ffff_f000;

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

/// What the driver says that the engine did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub copies: u64,
    pub copied: u64,
    pub clears: u64,
    pub cleared: u64,
    pub polled: u64,
    pub faults: u64,
    pub resets: u64,
    pub wedged: u64,
}

impl Counters {
    /// Ends a test on a card without engine.
    pub fn read(card: &Card) -> Result<Self> {
        let text = report(card, "pddgpu_engine")?;
        if text.starts_with("none") {
            return skip("this card has no copy engine");
        }
        let number = |name: &str| {
            let rest = text.lines().find_map(|line| line.strip_prefix(name));
            rest.and_then(|rest| rest.trim().parse().ok())
                .with_context(|| format!("no number of '{name}': {text}"))
        };
        Ok(Self {
            copies: number("copies ")?,
            copied: number("bytes copied ")?,
            clears: number("clears ")?,
            cleared: number("bytes cleared ")?,
            polled: number("polled ")?,
            faults: number("faults ")?,
            resets: number("resets ")?,
            wedged: number("wedged ")?,
        })
    }
}

impl Sub for Counters {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            copies: self.copies - before.copies,
            copied: self.copied - before.copied,
            clears: self.clears - before.clears,
            cleared: self.cleared - before.cleared,
            polled: self.polled - before.polled,
            faults: self.faults - before.faults,
            resets: self.resets - before.resets,
            wedged: self.wedged - before.wedged,
        }
    }
}

/// Mishaps that are taken back when it is dropped.
pub struct Trouble;

impl Trouble {
    pub fn new(mishap: Injection) -> Result<Self> {
        virtual_card()?.inject(mishap)?;
        Ok(Self)
    }
}

impl Drop for Trouble {
    fn drop(&mut self) {
        if let Ok(mut card) = virtual_card() {
            // A card that does not answer makes the tests fail anyway.
            let _ = card.clear_injections();
        }
    }
}

/// Waits for all that is done to a buffer, longer than it takes the driver to give an engine up.
pub fn finish(buffer: &Buffer) -> Result<()> {
    let late = Deadline::after(4 * PATIENCE);
    ensure!(buffer.wait(late)?, "busy for {:?}", 4 * PATIENCE);
    Ok(())
}

pub fn is_busy(buffer: &Buffer) -> Result<bool> {
    Ok(!buffer.wait(Deadline::PAST)?)
}

pub fn join<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().map_err(|_| anyhow!("a thread panicked"))?
}

/// The bus address of each page of a buffer in GTT, as the card's table has it.
pub fn bus_addresses(bench: &Bench, card: &mut VirtualCard, info: &Info) -> Result<Vec<u64>> {
    let at = gart_entry(bench, card, info)?;
    let count = usize::try_from(info.size)? / pages::PAGE;
    let table = card.read_vram(at, 8 * count)?;
    table
        .chunks_exact(8)
        .map(|entry| {
            let entry = u64::from_le_bytes(entry.try_into()?);
            ensure!(entry & 1 == 1, "an invalid entry: {entry:#x}");
            Ok(entry & BUS_ADDRESS)
        })
        .collect()
}

/// The VRAM offset of the GART's entry for the first page of a buffer in GTT.
pub fn gart_entry(bench: &Bench, card: &mut VirtualCard, info: &Info) -> Result<u64> {
    let address = info.gpu_addr.context("no address in GTT")?;
    let first = (address - bench.device.gtt_start) / pages::PAGE as u64;
    Ok(card.read_reg(GART_TABLE_BASE, 8)? + 8 * first)
}

/// Checks that the card finds a buffer's content where it is now; where that is neither in VRAM nor in
/// GTT the card has no way to. `new` tells whether no such content was in VRAM before.
pub fn ensure_card_sees(bench: &Bench, buffer: &Buffer, content: &[u8], new: bool) -> Result<()> {
    let info = buffer.info()?;
    let mut card = virtual_card()?;
    let what = format!("the card's view of {info:?}");
    match (info.placement, info.gpu_addr) {
        (Domain::Vram, Some(address)) => {
            let seen = card.read_vram(address - bench.device.vram_start, content.len())?;
            ensure_same(&seen, content, &what)
        }
        (Domain::Vram, None) => {
            if new {
                pages::find(&mut card, bench.device.vram_size, content)?;
            }
            Ok(())
        }
        (Domain::Gtt, _) => {
            let mut seen = Vec::with_capacity(content.len());
            for run in pages::runs(&bus_addresses(bench, &mut card, &info)?) {
                for part in run.chunks(64) {
                    seen.extend(card.read_dma(part[0], part.len() * pages::PAGE)?);
                }
            }
            ensure_same(&seen, content, &what)
        }
        (Domain::Cpu, _) => Ok(()),
    }
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
    let before = Counters::read(&bench.card)?;
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
        ..Default::default()
    };
    // Interrupts may come so late that somebody has looked before.
    let polled = moved.polled;
    ensure!(
        moved == Counters { polled, ..wanted },
        "{moved:?}, not {wanted:?}"
    );
    let wiped = wiped - before;
    ensure!(wiped.clears >= 1 && wiped.copies == 0, "{wiped:?}");
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
    buffer.move_to(Domain::Gtt)?;
    finish(&buffer)?;
    eventually(|| {
        let now = bench.heap(Domain::Vram)?;
        ensure!(now.used + size == used.used, "still there: {now:?}");
        Ok(())
    })?;

    let before = Counters::read(&bench.card)?;
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
    let done = Counters::read(&bench.card)? - before;
    ensure!((done.clears, done.cleared) == (1, size), "{done:?}");
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
            let seen = virtual_card()?.read_vram(offset, content.len())?;
            ensure_same(
                &seen,
                &vec![0; content.len()],
                "the card's view, once closed",
            )?;
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
        let before = Counters::read(&card)?;
        let size = 1 << 20;
        let flags = flags | CreateFlags::VRAM_CONTIGUOUS;
        let buffer = card.create(Create::new(size, Domains::VRAM).flags(flags))?;
        finish(&buffer)?;
        let done = Counters::read(&card)? - before;
        ensure!((done.clears, done.cleared) == (1, size), "{done:?}");
        let offset = buffer.info()?.gpu_addr.context("no address")? - device.vram_start;
        let seen = virtual_card()?.read_vram(offset, size as usize)?;
        ensure_same(&seen, &vec![0; size as usize], "the first buffer")?;
        // Kept, as its end would be counted with the next.
        buffers.push(buffer);
    }
    Ok(())
}
