// SPDX-License-Identifier: GPL-2.0

//! What clients have on a card while something happens to it.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use anyhow::{ensure, Result};
use pddgpu::{Card, Create, CreateFlags, Domain, Domains};

use crate::support::{
    engine::{finish, join},
    fixture::Bench,
    marked::Marked,
    patience::eventually,
    random::Random,
};

/// Bytes of each buffer: an odd number of pages.
pub const SIZE: u64 = (1 << 20) + 4096;
/// Buffers in each domain.
const COUNT: u64 = 4;

/// Buffers in every domain, and the domain that each is in.
pub struct Holdings(pub Vec<(Marked, Domain)>);

impl Holdings {
    pub fn create(card: &Card) -> Result<Self> {
        let mut set = Vec::new();
        for domain in Domain::ALL {
            for number in 0..COUNT {
                let create =
                    Create::new(SIZE, domain.into()).flags(CreateFlags::CPU_ACCESS_REQUIRED);
                let marked = Marked::create(card, create, 100 * domain as u64 + number)?;

                finish(&marked.buffer)?;
                set.push((marked, domain));
            }
        }
        Ok(Self(set))
    }

    /// Checks that every byte is there, and that every buffer is, or soon will be, where it was.
    pub fn check(&self) -> Result<()> {
        for (marked, domain) in &self.0 {
            marked.check()?;
            eventually(|| {
                let info = marked.buffer.info()?;
                ensure!(info.placement == *domain, "not in {domain}: {info:?}");
                Ok(())
            })?;
            marked.check()?;
        }
        Ok(())
    }

    /// Moves every buffer around, and back.
    pub fn exercise(&mut self) -> Result<()> {
        for (number, (marked, domain)) in self.0.iter_mut().enumerate() {
            for to in [Domain::Vram, Domain::Gtt, Domain::Cpu, *domain] {
                marked.buffer.move_to(to)?;
                marked.check()?;
            }
            marked.fill(1000 + number as u64);
            finish(&marked.buffer)?;
        }
        Ok(())
    }
}

/// Buffers in VRAM, as many as there is room for.
pub fn fill_vram(bench: &Bench) -> Result<Vec<Marked>> {
    let room = bench.heap(Domain::Vram)?;
    let count = room.visible_total.min(room.usable) / 2 / SIZE;
    let create = Create::new(SIZE, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    (0..count)
        .map(|number| Marked::create(&bench.card, create, number))
        .collect()
}

/// Moves buffers, has the card copy them, and checks them until `done`.
fn use_until(done: &AtomicBool, card: &Card, number: u64) -> Result<()> {
    let mut random = Random::new(number);
    let mut set = Holdings::create(card)?.0;
    let mut mark = 10_000 * (number + 1);
    while !done.load(Relaxed) {
        let at = random.below(set.len());
        let (marked, _) = &mut set[at];
        marked.buffer.move_to(random.pick(&Domain::ALL))?;
        marked.check()?;
        mark += 1;
        marked.fill(mark);
        let create = Create::new(SIZE, random.pick(&Domain::ALL).into());
        let copy = card.create(create.flags(CreateFlags::CPU_ACCESS_REQUIRED))?;
        marked.buffer.copy_to(0, &copy, 0, SIZE, &[])?;
        copy.copy_to(0, &marked.buffer, 0, SIZE, &[])?;
    }
    for (marked, _) in &set {
        marked.check()?;
        ensure!(!marked.buffer.info()?.content_lost, "nothing was lost");
    }
    Ok(())
}

/// Calls `f` while two further clients use the card, whose buffers keep their content.
pub fn use_while(card: &Card, f: impl FnOnce() -> Result<()>) -> Result<()> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..2)
            .map(|number| {
                let done = &done;

                scope.spawn(move || use_until(done, &Card::open(card.path())?, number))
            })
            .collect();
        let result = f();
        done.store(true, Relaxed);
        let clients = clients.into_iter().try_for_each(join);
        result.and(clients)
    })
}
