// SPDX-License-Identifier: GPL-2.0

//! Where the figures come from: a card, or in tests a script.

use anyhow::Result;
use pddgpu::{Card, Heap, Leak, MemoryStats};

use super::clients::{self, ClientUse};
use crate::commands::list;

/// What is known at one moment.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    pub heaps: Vec<Heap>,
    pub stats: MemoryStats,
    pub leaks: Vec<Leak>,
    /// The clients by use, the largest first.
    pub clients: Vec<ClientUse>,
    /// Why the clients are not known.
    pub unknown: Option<String>,
}

/// Something that knows the figures of now.
pub trait Source {
    fn sample(&mut self) -> Result<Sample>;
}

/// A card.
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
        // Whatever the reason, the rest is worth seeing.
        let (clients, unknown) = match list::read(&self.card) {
            Ok(list) => (clients::by_use(&list), None),
            Err(error) => (Vec::new(), Some(format!("{error:#}"))),
        };
        Ok(Sample {
            heaps: self.card.heaps()?,
            stats: self.card.memory_stats()?,
            leaks: self.card.leaks()?,
            clients,
            unknown,
        })
    }
}
