// SPDX-License-Identifier: GPL-2.0

//! What the steps work with.

use anyhow::Result;
use pddgpu::{virtual_card::VirtualCard, Card, Device};

pub struct Stage {
    pub card: Card,
    pub device: Device,
    /// The virtual card's own view of itself. A real card has none, and only root may see it.
    pub virtual_card: Option<VirtualCard>,
}

impl Stage {
    pub fn new(card: &Card) -> Result<Self> {
        Ok(Self {
            card: card.clone(),
            device: card.device()?,
            virtual_card: VirtualCard::find()?,
        })
    }
}
