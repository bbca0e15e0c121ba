// SPDX-License-Identifier: GPL-2.0

//! Where the figures come from. This is a card, or a script in tests.

use anyhow::Result;
use pddgpu::{Card, Heap, Leak, MemoryStats, OwnerKind};
use rustix::process::geteuid;
use serde::Serialize;

use crate::{
    cgroups::Cgroups,
    commands::top::tree::{tree, Node},
};

/// All figures at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sample {
    pub heaps: Vec<Heap>,
    pub stats: MemoryStats,
    pub leaks: Vec<Leak>,
    /// Cgroups, their processes and the clients of these.
    pub owners: Vec<Node>,
    /// Why they are not known, if they are not.
    pub owners_error: Option<String>,
    /// What VRAM is used for.
    pub vram: Vec<Part>,
}

/// A part of VRAM.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    pub kind: OwnerKind,
    pub bytes: u64,
}

/// Something that has figures.
pub trait Source {
    /// Gives the figures of this moment.
    fn sample(&mut self) -> Result<Sample>;
}

/// A card as the source.
pub struct CardSource {
    card: Card,
}

impl CardSource {
    pub fn new(card: &Card) -> Self {
        Self { card: card.clone() }
    }
}

impl Source for CardSource {
    fn sample(&mut self) -> Result<Sample> {
        let all = self.card.owners()?;
        let owners = tree(&all, self.card.client_id()?, &Cgroups::read());
        // What is in use comes first, and what is free last.
        let parts = OwnerKind::ALL.map(|kind| Part {
            kind,
            bytes: all
                .iter()
                .filter(|owner| owner.kind == kind)
                .map(|owner| owner.vram)
                .sum(),
        });
        Ok(Sample {
            heaps: self.card.heaps()?,
            stats: self.card.memory_stats()?,
            leaks: self.card.leaks()?,
            owners,
            owners_error: (!geteuid().is_root())
                .then(|| "only root may see each client's memory".to_owned()),
            vram: parts.into_iter().filter(|part| part.bytes > 0).collect(),
        })
    }
}
