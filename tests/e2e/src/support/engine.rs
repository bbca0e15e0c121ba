// SPDX-License-Identifier: GPL-2.0

//! The copy engine, as the driver reports it and as the card has it.

use std::{ops::Sub, thread::ScopedJoinHandle};

use anyhow::{anyhow, ensure, Context, Result};
use pddgpu::{
    virtual_card::{pages, Injection, VirtualCard},
    Buffer, Card, Deadline, Domain, Info,
};

use crate::support::{
    compare::ensure_same,
    fixture::{skip, virtual_card, Bench},
    patience::PATIENCE,
    stats::{await_zeroed, report},
};

/// The register with the VRAM offset of the GART's table.
const GART_TABLE_BASE: u64 = 0x110;

/// The bits of a GART entry that are a bus address.
const BUS_ADDRESS: u64 = 0xf_ffff_ffff_f000;

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
    /// Has it befall what the engine does from now on, and none of what the driver has begun to zero.
    pub fn new(mishap: Injection) -> Result<Self> {
        if let Ok(card) = Card::find() {
            // With another mishap in effect that may never end.
            let _ = await_zeroed(&card);
        }
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
