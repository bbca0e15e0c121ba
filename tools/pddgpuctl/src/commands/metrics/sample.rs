// SPDX-License-Identifier: GPL-2.0

//! The figures of one moment.

use anyhow::Result;
use pddgpu::{Card, Heap, MemoryStats, Owner};
use serde::Serialize;

use crate::cgroups::Cgroups;

/// All that is told of a card.
#[derive(Debug, Serialize)]
pub struct Sample {
    /// The card's address on its bus.
    pub card: String,
    pub heaps: Vec<Heap>,
    pub stats: MemoryStats,
    pub owners: Vec<OwnerOf>,
}

/// An owner, whose cgroup has a name.
#[derive(Debug, Serialize)]
pub struct OwnerOf {
    #[serde(flatten)]
    pub owner: Owner,
    pub cgroup_path: String,
}

impl Sample {
    pub fn take(card: &Card) -> Result<Self> {
        let own = card.client_id()?;
        let cgroups = Cgroups::read();
        let owners = card.owners()?.into_iter();
        let others = owners.filter(|owner| owner.client != Some(own));
        Ok(Self {
            card: card.address()?,
            heaps: card.heaps()?,
            stats: card.memory_stats()?,
            owners: others
                .map(|owner| OwnerOf {
                    cgroup_path: cgroups.name(owner.cgroup),
                    owner,
                })
                .collect(),
        })
    }
}
