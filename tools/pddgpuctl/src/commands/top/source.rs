// SPDX-License-Identifier: GPL-2.0

//! Where the figures come from. This is a card, or a script in tests.

use anyhow::Result;
use pddgpu::{Card, Heap, Leak, MemoryStats};
use serde::Serialize;

use crate::{
    clients,
    commands::top::clients::{by_use, ClientUse},
};

/// All figures at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sample {
    pub heaps: Vec<Heap>,
    pub stats: MemoryStats,
    pub leaks: Vec<Leak>,
    /// The clients by the memory they use, the largest first.
    pub clients: Vec<ClientUse>,
    /// Why the clients are not known, if they are not.
    pub clients_error: Option<String>,
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
        // Without the clients the other figures are still worth showing.
        let (clients, clients_error) = match clients::read(&self.card) {
            Ok(list) => (by_use(&list), None),
            Err(error) => (Vec::new(), Some(format!("{error:#}"))),
        };
        Ok(Sample {
            heaps: self.card.heaps()?,
            stats: self.card.memory_stats()?,
            leaks: self.card.leaks()?,
            clients,
            clients_error,
        })
    }
}
