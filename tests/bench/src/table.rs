// SPDX-License-Identifier: GPL-2.0

//! All operations of the hot path, each beside what the stock kernel has that is like it.

mod measure;
mod memory;
mod peers;
mod scaling;
mod single;

use std::{fs, thread, time::Duration};

use anyhow::{Context, Result};
use clap::Args;
use pddgpu::Card;

use self::measure::Table;

#[derive(Args)]
pub struct Options {
    /// Leaves out what takes long: many live buffers, fragments and reservations.
    #[arg(long)]
    short: bool,
    /// As --short, for a plugin of QEMU that counts the instructions of each function.
    #[arg(long)]
    profile: bool,
}

/// Ticks in which the processor had nothing to do, and all ticks.
fn ticks() -> Result<(u64, u64)> {
    let stat = fs::read_to_string("/proc/stat")?;
    let ticks = stat
        .lines()
        .next()
        .context("/proc/stat is empty")?
        .split_whitespace()
        .skip(1)
        .map(|number| Ok(number.parse()?))
        .collect::<Result<Vec<u64>>>()?;

    Ok((
        *ticks.get(3).context("/proc/stat: no idle time")?,
        ticks.iter().sum(),
    ))
}

/// Waits until the kernel has nothing else to do. For some time after the boot it tests its
/// cryptography in the background, which takes as many instructions as what is measured.
fn wait_until_idle() -> Result<()> {
    let (mut idle, mut all) = ticks()?;

    loop {
        thread::sleep(Duration::from_millis(500));
        let (idle_now, all_now) = ticks()?;

        if (all_now - all) - (idle_now - idle) <= 1 {
            return Ok(());
        }
        (idle, all) = (idle_now, all_now);
    }
}

pub fn run(options: &Options) -> Result<()> {
    let card = Card::find()?;
    let mut table = Table::new(options.profile);

    wait_until_idle()?;
    single::create_and_close(&mut table, &card)?;
    peers::create_and_close(&mut table)?;
    single::ioctls(&mut table, &card)?;
    if !options.short && !options.profile {
        memory::faults(&mut table, &card)?;
        memory::evictions(&mut table, &card)?;
        scaling::live_buffers(&mut table, &card)?;
        scaling::fragments(&mut table, &card)?;
        // The last: nobody takes a reservation back.
        scaling::reservations(&mut table, &card)?;
    }
    Ok(())
}
