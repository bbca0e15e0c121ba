// SPDX-License-Identifier: GPL-2.0

//! Creating and closing 4 KiB of VRAM.

use std::time::Instant;

use anyhow::Result;
use clap::Args;
use pddgpu::{Card, Create, CreateFlags, Domains};

#[derive(Args)]
pub struct Options {
    /// How often to do it.
    #[arg(long, default_value_t = 2000)]
    rounds: u32,
    /// How often to do it first, uncounted, to fill the caches of the kernel.
    #[arg(long, default_value_t = 200)]
    warm_up: u32,
}

fn create_and_close(card: &Card) -> Result<()> {
    card.create(Create {
        size: 4096,
        alignment: 0,
        domains: Domains::VRAM,
        flags: CreateFlags::empty(),
    })?;
    Ok(())
}

pub fn run(options: &Options) -> Result<()> {
    let card = Card::find()?;

    for _ in 0..options.warm_up {
        create_and_close(&card)?;
    }

    let start = Instant::now();
    for _ in 0..options.rounds {
        create_and_close(&card)?;
    }
    println!(
        "{}",
        start.elapsed().as_nanos() / u128::from(options.rounds)
    );
    Ok(())
}
