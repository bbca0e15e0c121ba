// SPDX-License-Identifier: GPL-2.0

//! All operations of the hot path, each beside what the stock kernel has that is like it.

mod measure;
mod memory;
mod peers;
mod scaling;
mod single;

use anyhow::Result;
use clap::Args;
use pddgpu::Card;

use self::measure::Table;

#[derive(Args)]
pub struct Options {
    /// Leaves out what takes long: many live buffers, fragments and reservations.
    #[arg(long)]
    short: bool,
}

pub fn run(options: &Options) -> Result<()> {
    let card = Card::find()?;
    let mut table = Table::default();

    single::create_and_close(&mut table, &card)?;
    peers::create_and_close(&mut table)?;
    single::ioctls(&mut table, &card)?;
    if !options.short {
        memory::faults(&mut table, &card)?;
        memory::evictions(&mut table, &card)?;
        scaling::live_buffers(&mut table, &card)?;
        scaling::fragments(&mut table, &card)?;
        // The last: nobody takes a reservation back.
        scaling::reservations(&mut table, &card)?;
    }
    Ok(())
}
