// SPDX-License-Identifier: GPL-2.0

//! Copies that signal a syncobj, beside moves of as many bytes.

use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use clap::Args;
use pddgpu::{Buffer, Card, Create, Deadline, Domain, Domains, Syncobj};

use crate::moves::{move_all, Idler};

#[derive(Args)]
pub struct Options {
    /// Bytes of each buffer.
    #[arg(long, default_value_t = 2 << 20)]
    size: u64,
    /// How many buffers are copied, or moved, before somebody waits.
    #[arg(long, default_value_t = 32)]
    count: u32,
    /// How often to do so.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
}

/// Copies each buffer to the one beside it, and waits for the syncobj that each copy signals.
fn copy_all(pairs: &[(Buffer, Buffer)], syncobj: &Syncobj, first: u64) -> Result<()> {
    let mut point = first;

    for (from, to) in pairs {
        point += 1;
        from.copy_to(0, to, 0, from.size(), &[syncobj.signal_after(point)])?;
    }
    for point in first..point {
        ensure!(syncobj.wait(point + 1, Deadline::NEVER)?, "not signalled");
    }
    Ok(())
}

/// Prints the instructions of a copy from VRAM to GTT, and of a move in the direction that takes less.
pub fn run(options: &Options) -> Result<()> {
    let card = Card::find()?;
    let idler = Idler::start()?;
    let syncobj = Syncobj::new(&card)?;
    let make = |domain: Domains| card.create(Create::new(options.size, domain));
    let pairs = (0..options.count)
        .map(|_| Ok((make(Domains::VRAM)?, make(Domains::GTT)?)))
        .collect::<Result<Vec<_>>>()?;
    let moved = (0..options.count)
        .map(|_| Ok(make(Domains::VRAM)?))
        .collect::<Result<Vec<_>>>()?;
    let (mut copies, mut moves) = (Vec::new(), Vec::new());
    let mut point = 0;

    // The first round fills the kernel's caches, and is not counted.
    for round in 0..=options.rounds {
        let (start, idle) = (Instant::now(), idler.time()?);
        copy_all(&pairs, &syncobj, point)?;
        let took = start.elapsed() - (idler.time()? - idle);
        point += pairs.len() as u64;
        let to_gtt = move_all(&moved, Domain::Gtt, Some(&idler))?;
        let to_vram = move_all(&moved, Domain::Vram, Some(&idler))?;

        if round > 0 {
            copies.push(took);
            // A move to GTT also has to allocate the pages, which a copy finds there.
            moves.push(to_gtt.min(to_vram));
        }
    }
    let least = |took: Vec<Duration>| took.into_iter().min().context("no rounds");
    println!(
        "{} {}",
        least(copies)?.as_nanos() / u128::from(options.count),
        least(moves)?.as_nanos() / u128::from(options.count)
    );
    Ok(())
}
