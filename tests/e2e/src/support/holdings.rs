// SPDX-License-Identifier: GPL-2.0

//! What clients have on a card while something happens to it.

use anyhow::{ensure, Result};
use pddgpu::{Card, Create, CreateFlags, Domain, Domains};

use crate::support::{engine::finish, fixture::Bench, marked::Marked, patience::eventually};

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
