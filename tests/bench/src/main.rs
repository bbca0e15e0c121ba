// SPDX-License-Identifier: GPL-2.0

//! Measures the driver, inside the VM.
//!
//! Under `vm/run --icount` the guest's clock counts instructions, one to the ns, so that what is
//! printed is instructions and the same on every machine.

use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use pddgpu::{Card, Create, CreateFlags, Domains};

/// Measures the PDDGPU driver.
#[derive(Parser)]
struct Options {
    /// How often to do it.
    #[arg(long, default_value_t = 2000)]
    rounds: u32,
    /// How often to do it first, uncounted, to fill the caches of the kernel.
    #[arg(long, default_value_t = 200)]
    warm_up: u32,
}

/// Creates a buffer of 4 KiB in VRAM and closes it.
fn create_and_close(card: &Card) -> Result<()> {
    card.create(Create {
        size: 4096,
        alignment: 0,
        domains: Domains::VRAM,
        flags: CreateFlags::empty(),
    })?;
    Ok(())
}

fn main() -> Result<()> {
    let options = Options::parse();
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
