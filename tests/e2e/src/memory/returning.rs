// SPDX-License-Identifier: GPL-2.0

//! Buffers that were pushed out of VRAM come back by themselves.

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{
    virtual_card::pages::pattern, Advice, Buffer, Card, Create, Domain, Domains, Priority,
};

use crate::support::{
    cgroup::has_dmem,
    compare::ensure_holds,
    fixture::{skip, trials, Bench},
    patience::eventually,
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        all_comes_back_when_a_hog_ends,
        the_most_wanted_comes_back_first,
        what_should_not_be_in_vram_stays_away,
    )
}

/// The parts of VRAM in which buffers are made.
const PARTS: u64 = 16;

fn part(bench: &Bench) -> Result<u64> {
    if has_dmem()? {
        return skip(
            "this kernel charges VRAM to cgroups, so that the driver may not move it there",
        );
    }
    if bench.heap(Domain::Vram)?.usable > 192 << 20 {
        return skip("this card's VRAM is too large for the VM's memory");
    }
    Ok(bench.heap(Domain::Vram)?.usable / PARTS / 4096 * 4096)
}

/// Buffers in VRAM, and others that are made by somebody else and push half of them out.
fn pushed_out(bench: &Bench) -> Result<(Vec<Buffer>, Card, Vec<Buffer>)> {
    let size = part(bench)?;
    let create = |card: &Card| Ok(card.create(Create::new(size, Domains::VRAM))?);
    let set = (0..PARTS)
        .map(|_| create(&bench.card))
        .collect::<Result<Vec<_>>>()?;
    let other = Card::open(bench.card.path())?;
    let hog = (0..PARTS / 2)
        .map(|_| create(&other))
        .collect::<Result<Vec<_>>>()?;
    ensure!(
        displaced(&bench.card)? >= 6 * size,
        "nothing was pushed out"
    );
    Ok((set, other, hog))
}

fn displaced(card: &Card) -> Result<u64> {
    let budgets = card.budgets()?;
    Ok(budgets.first().context("no budget of VRAM")?.displaced)
}

fn is_in_vram(buffer: &Buffer) -> Result<bool> {
    Ok(buffer.info()?.placement == Domain::Vram)
}

fn all_comes_back_when_a_hog_ends(bench: &Bench) -> Result<()> {
    let size = part(bench)?;
    let marked = bench.card.create(Create::new(size, Domains::VRAM))?;
    let content = pattern(7, size as usize);
    // Through GTT, so that the CPU need not reach it in VRAM.
    marked.move_to(Domain::Gtt)?;
    marked.map()?.write(0, &content);
    marked.move_to(Domain::Vram)?;
    let (set, other, hog) = pushed_out(bench)?;
    ensure!(!is_in_vram(&marked)?, "what was used first went last");
    drop((hog, other));
    eventually(|| {
        let left = displaced(&bench.card)?;
        // There is not room for all of it.
        ensure!(left <= size, "{left} bytes are displaced");
        Ok(())
    })?;
    drop(set);
    eventually(|| {
        ensure!(displaced(&bench.card)? == 0, "one is left");
        Ok(())
    })?;
    ensure!(is_in_vram(&marked)?, "{:?}", marked.info()?);
    marked.move_to(Domain::Gtt)?;
    ensure_holds(&marked.map()?, &content, "what came back")
}

fn the_most_wanted_comes_back_first(bench: &Bench) -> Result<()> {
    let (set, other, mut hog) = pushed_out(bench)?;
    let out: Vec<_> = set
        .iter()
        .filter(|buffer| !is_in_vram(buffer).unwrap_or(true))
        .collect();
    let [wanted, rest @ ..] = &out[..] else {
        unreachable!("some were pushed out");
    };
    // Used least recently, but that is no matter.
    wanted.set_priority(Priority::High)?;
    hog.pop();
    eventually(|| {
        ensure!(is_in_vram(wanted)?, "{:?}", wanted.info()?);
        Ok(())
    })?;
    for buffer in rest {
        ensure!(!is_in_vram(buffer)?, "another one came, too");
    }
    ensure!(displaced(&other)? == 0, "somebody was pushed out for it");
    Ok(())
}

fn what_should_not_be_in_vram_stays_away(bench: &Bench) -> Result<()> {
    let (set, other, hog) = pushed_out(bench)?;
    let out: Vec<_> = set
        .iter()
        .filter(|buffer| !is_in_vram(buffer).unwrap_or(true))
        .collect();
    out[0].advise(Advice::DontNeed)?;
    out[1].move_to(Domain::Gtt)?;
    drop((hog, other));
    eventually(|| {
        for buffer in &out[2..] {
            ensure!(is_in_vram(buffer)?, "{:?}", buffer.info()?);
        }
        Ok(())
    })?;
    ensure!(!is_in_vram(out[0])?, "nobody needs it");
    ensure!(!is_in_vram(out[1])?, "it should be in GTT");
    out[0].advise(Advice::WillNeed)?;
    eventually(|| {
        ensure!(is_in_vram(out[0])?, "{:?}", out[0].info()?);
        Ok(())
    })
}
