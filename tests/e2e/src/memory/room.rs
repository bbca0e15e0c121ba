// SPDX-License-Identifier: GPL-2.0

//! Clients that want more memory than there is, all at once: each gets its turn.

use std::thread;

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{Buffer, Card, Create, CreateFlags, Domain, Domains};

use crate::support::{
    engine::join,
    fixture::{trials, Bench},
};

/// Bytes of the VM's memory that a test may use for what is evicted.
const SPARE: u64 = 192 << 20;

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        every_move_finds_room,
        every_creation_finds_room,
        every_fault_finds_room,
    )
}

/// Bytes of VRAM that a test fights for: all that any buffer may have, or what the CPU can reach on a
/// card that needs it for moves.
fn contested(bench: &Bench) -> Result<u64> {
    let heap = bench.heap(Domain::Vram)?;
    Ok(heap.usable.min(heap.visible_total - heap.visible_used))
}

/// Calls `f` for each of some clients at the same time.
fn together(
    bench: &Bench,
    clients: u64,
    f: impl Fn(&Card, u64) -> Result<()> + Sync,
) -> Result<()> {
    let f = &f;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|number| {
                scope.spawn(move || {
                    f(&Card::open(bench.card.path())?, number)
                        .with_context(|| format!("client {number}"))
                })
            })
            .collect();
        threads.into_iter().try_for_each(join)
    })
}

/// Two of three buffers fit. Whoever moves one in has another one moved out, which may be moving
/// itself.
fn every_move_finds_room(bench: &Bench) -> Result<()> {
    let size = (contested(bench)? * 2 / 5).min(SPARE / 3) / 4096 * 4096;
    let create =
        Create::new(size, Domains::GTT | Domains::CPU).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    together(bench, 3, |card, number| {
        let buffer = card.create(create)?;
        buffer.map()?.write(0, &[number as u8 + 1]);
        for turn in 0..12 {
            let domain = [Domain::Vram, Domain::Cpu][turn % 2];
            buffer
                .move_to(domain)
                .with_context(|| format!("turn {turn}"))?;
        }
        let mut byte = [0];
        buffer.map()?.read(0, &mut byte);
        ensure!(
            byte[0] == number as u8 + 1,
            "the content became {}",
            byte[0]
        );
        Ok(())
    })
}

/// Three of eight fit, and what is freed is being wiped for a while.
fn every_creation_finds_room(bench: &Bench) -> Result<()> {
    let size = (contested(bench)? * 2 / 7).min(SPARE / 8) / 4096 * 4096;
    let create = Create::new(size, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    together(bench, 8, |card, _| {
        for turn in 0..8 {
            let buffer: Buffer = card
                .create(create)
                .with_context(|| format!("turn {turn}"))?;
            buffer.close()?;
        }
        Ok(())
    })
}

/// Buffers that the CPU cannot reach where they are.
fn every_fault_finds_room(bench: &Bench) -> Result<()> {
    let heap = bench.heap(Domain::Vram)?;
    let size = (heap.usable / 8).min(SPARE / 16) / 4096 * 4096;
    together(bench, 4, |card, number| {
        for _ in 0..4 {
            let buffer = card.create(Create::new(size, Domains::VRAM))?;
            let mut map = buffer.map()?;
            map.write(map.len() - 1, &[number as u8]);
        }
        Ok(())
    })
}
