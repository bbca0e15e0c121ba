// SPDX-License-Identifier: GPL-2.0

//! The copy engine fails while several clients use it: none of them sees a wrong byte.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use anyhow::{ensure, Result};
use libtest_mimic::Trial;
use pddgpu::{
    virtual_card::{pages, Injection},
    Card, Create, CreateFlags, Domain, Domains,
};

use crate::support::{
    compare::ensure_holds,
    engine::{finish, join, Counters, Trouble},
    fixture::{trials, virtual_card, Bench},
    patience::eventually,
    random::Random,
};

/// How many threads move buffers while something goes wrong.
const THREADS: u64 = 3;

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        bad_packets_under_load_cost_no_byte,
        lost_interrupts_under_load_cost_no_byte,
        hangs_under_load_cost_no_byte,
    )
}

/// Moves buffers here and there until it is told to end, and checks every byte after each move.
fn move_about(card: &Card, seed: u64, done: &AtomicBool, turns: &AtomicU64) -> Result<()> {
    let mut random = Random::new(seed);
    let mut buffers = Vec::new();
    for (number, size) in [4096, 192 << 10, (2 << 20) + 4096].into_iter().enumerate() {
        let create = Create::new(size, Domains::all()).flags(CreateFlags::CPU_ACCESS_REQUIRED);
        let buffer = card.create(create)?;
        let mut map = buffer.map()?;
        let content = pages::pattern(100 * seed + number as u64, map.len());
        map.write(0, &content);
        buffers.push((buffer, map, content));
    }
    while !done.load(Ordering::Relaxed) {
        for (buffer, _, _) in &buffers {
            buffer.move_to(random.pick(&Domain::ALL))?;
        }
        let (buffer, map, content) = &mut buffers[random.below(3)];
        if random.below(2) == 0 {
            finish(buffer)?;
        }
        ensure_holds(map, content, "a buffer that is moved about")?;
        // What is in flight belongs to the content as well.
        let at = random.below(content.len());
        content[at] ^= 0xff;
        map.write(at, &content[at..=at]);
        // Memory that somebody else had is not seen, and what this one had not left to others.
        let new = card.create(Create::new(64 << 10, Domains::VRAM))?;
        let mut bytes = [0; 4096];
        new.map()?.read(random.below(15) * 4096, &mut bytes);
        ensure!(
            bytes.iter().all(|&byte| byte == 0),
            "a new buffer is not empty"
        );
        turns.fetch_add(1, Ordering::Relaxed);
    }
    for (buffer, map, content) in &buffers {
        finish(buffer)?;
        ensure_holds(map, content, "a buffer that was moved about")?;
    }
    Ok(())
}

/// Reads and writes a mapped buffer in VRAM all the time.
fn use_mapping(card: &Card, done: &AtomicBool) -> Result<()> {
    let create = Create::new(1 << 20, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let buffer = card.create(create)?;
    let mut map = buffer.map()?;
    let mut content = vec![0; map.len()];
    let mut random = Random::new(7);
    let mut turn = 0u64;
    while !done.load(Ordering::Relaxed) {
        turn += 1;
        let at = random.below(content.len() / 8) * 8;
        content[at..at + 8].copy_from_slice(&turn.to_le_bytes());
        map.write(at, &content[at..at + 8]);
        let at = random.below(content.len() / 512) * 512;
        let mut seen = [0; 512];
        map.read(at, &mut seen);
        ensure!(
            seen == content[at..at + 512],
            "turn {turn}: other bytes at {at:#x} of a mapped buffer"
        );
    }
    ensure_holds(&map, &content, "a buffer that was used all the time")
}

/// Has threads use the engine and VRAM, each as a client of its own, while `run` has things go wrong; it
/// gets what counts their turns.
fn under_load(bench: &Bench, run: impl FnOnce(&AtomicU64) -> Result<()>) -> Result<()> {
    let done = AtomicBool::new(false);
    let turns = AtomicU64::new(0);
    let cards: Vec<_> = (0..=THREADS)
        .map(|_| Card::open(bench.card.path()))
        .collect::<Result<_, _>>()?;
    thread::scope(|scope| {
        let (done, turns) = (&done, &turns);
        let threads: Vec<_> = cards
            .into_iter()
            .enumerate()
            .map(|(number, card)| {
                scope.spawn(move || {
                    let result = match number {
                        0 => use_mapping(&card, done),
                        _ => move_about(&card, 80 + number as u64, done, turns),
                    };
                    // Nothing is to be waited for once somebody has failed.
                    done.store(
                        result.is_err() || done.load(Ordering::Relaxed),
                        Ordering::Relaxed,
                    );
                    result
                })
            })
            .collect();
        let result = run(turns);
        let failed = done.swap(true, Ordering::Relaxed);
        for thread in threads {
            join(thread)?;
        }
        ensure!(!failed, "a thread ended before its time");
        result
    })
}

/// Waits until the threads have gone on for a while.
fn await_turns(turns: &AtomicU64, more: u64) -> Result<()> {
    let wanted = turns.load(Ordering::Relaxed) + more;
    eventually(|| {
        let now = turns.load(Ordering::Relaxed);
        ensure!(
            now >= wanted,
            "the threads do not get on: {now} turns, not {wanted}"
        );
        Ok(())
    })
}

/// Has one mishap after the other happen under load; the driver has to reset the engine for each.
fn reset_under_load(bench: &Bench, mishaps: impl Iterator<Item = Injection>) -> Result<()> {
    let start = Counters::read(&bench.card)?;
    let mut count = 0;
    under_load(bench, |turns| {
        for mishap in mishaps {
            let before = Counters::read(&bench.card)?;
            let _trouble = Trouble::new(mishap)?;
            eventually(|| {
                let now = Counters::read(&bench.card)?;
                ensure!(now.resets > before.resets, "{mishap:?} was not seen");
                Ok(())
            })?;
            count += 1;
            // A job that fails three times is one too many; so all of them get their turn.
            await_turns(turns, 3 * THREADS)?;
        }
        Ok(())
    })?;
    let done = Counters::read(&bench.card)? - start;
    ensure!(
        done.resets == count && done.wedged == 0,
        "{count}: {done:?}"
    );
    Ok(())
}

fn bad_packets_under_load_cost_no_byte(bench: &Bench) -> Result<()> {
    let mut random = Random::new(9);
    reset_under_load(
        bench,
        (0..20).map(|_| Injection::Corrupt {
            packets: random.below(5) as u64,
        }),
    )
}

fn hangs_under_load_cost_no_byte(bench: &Bench) -> Result<()> {
    let mut random = Random::new(10);
    reset_under_load(
        bench,
        (0..4).map(|_| Injection::Hang {
            packets: random.below(5) as u64,
            bytes: random.below(64 << 10) as u64,
        }),
    )
}

fn lost_interrupts_under_load_cost_no_byte(bench: &Bench) -> Result<()> {
    let start = Counters::read(&bench.card)?;
    under_load(bench, |turns| {
        for count in 1..=10 {
            let lost = virtual_card()?.counter("irqs_lost")?;
            let _trouble = Trouble::new(Injection::LoseInterrupts { count })?;
            eventually(|| {
                let now = virtual_card()?.counter("irqs_lost")?;
                ensure!(now >= lost + count, "{now} of {lost} + {count} lost");
                Ok(())
            })?;
            await_turns(turns, THREADS)?;
        }
        Ok(())
    })?;
    let done = Counters::read(&bench.card)? - start;
    ensure!(done.resets == 0 && done.wedged == 0, "{done:?}");
    ensure!(done.polled > 0, "{done:?}");
    Ok(())
}
