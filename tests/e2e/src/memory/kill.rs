// SPDX-License-Identifier: GPL-2.0

//! Processes that are killed in the middle of long work of the CPU.

use anyhow::{bail, ensure, Result};
use libtest_mimic::Trial;
use pddgpu::{Card, Domain, Features};

use crate::support::{
    child::{self, Child, Part},
    fixture::{skip, trials, Bench},
    prime,
};

/// Tries until a process is killed in the middle of its work rather than before or after.
const TRIES: u32 = 20;

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        a_creation_ends_with_its_process,
        a_move_leaves_the_content_whole,
    )
}

/// Bytes of a buffer that keeps the CPU busy for a while. Ends a test on a card with an engine.
fn huge(bench: &Bench) -> Result<u64> {
    if bench.device.features.contains(Features::COPY) {
        return skip("this card's engine moves memory");
    }
    let usable = bench.heap(Domain::Gtt)?.usable;
    let usable = usable.min(bench.heap(Domain::Vram)?.usable);
    Ok(usable.min(24 << 20) / 4096 * 4096)
}

/// Creations that failed, as the statistics have them.
fn failures(card: &Card) -> Result<u64> {
    Ok(card.memory_stats()?.failures.iter().map(|f| f.count).sum())
}

fn a_creation_ends_with_its_process(bench: &Bench) -> Result<()> {
    let size = huge(bench)?;
    let before = failures(&bench.card)?;
    for _ in 0..TRIES {
        let mut child = Child::start(Part::CreateHuge, bench.card.path(), None)?;
        child.tell(&size.to_string())?;
        child.listen()?;
        child.kill()?;
        if failures(&bench.card)? > before {
            return Ok(());
        }
    }
    bail!("none of {TRIES} was interrupted")
}

fn a_move_leaves_the_content_whole(bench: &Bench) -> Result<()> {
    let size = huge(bench)?;
    for _ in 0..5 {
        let mut child = Child::start(Part::MoveHuge, bench.card.path(), None)?;
        child.tell(&size.to_string())?;
        let said = child.listen()?;
        let file = child.take_file(&said)?;
        child.tell("move")?;
        child.listen()?;
        child.kill()?;
        let map = prime::map(&file, size as usize)?;
        ensure!(
            map.ends_with(&[child::BYTE; child::SIZE]),
            "it lost its content"
        );
    }
    Ok(())
}
