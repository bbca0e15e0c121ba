// SPDX-License-Identifier: GPL-2.0

//! The device's nodes, and that all ioctls work on each.

use anyhow::Result;
use libtest_mimic::Trial;
use pddgpu::Card;

use crate::support::{
    fixture::{trials, Bench},
    nodes::{primary_node, use_every_ioctl},
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial: render_node_serves_every_ioctl, primary_node_serves_every_ioctl)
}

fn render_node_serves_every_ioctl(bench: &Bench) -> Result<()> {
    use_every_ioctl(&bench.card)
}

fn primary_node_serves_every_ioctl(bench: &Bench) -> Result<()> {
    let path = primary_node(&bench.card)?;
    let master = Card::open(&path)?;
    use_every_ioctl(&master)?;
    // The first to open it becomes the master; one who is not may do the same.
    use_every_ioctl(&Card::open(&path)?)
}
