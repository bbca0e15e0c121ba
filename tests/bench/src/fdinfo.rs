// SPDX-License-Identifier: GPL-2.0

//! Reading `/proc/PID/fdinfo` of clients with few and with many buffers.

use std::{
    fs,
    os::fd::{AsFd, AsRawFd},
    time::{Duration, Instant},
};

use anyhow::{ensure, Context, Result};
use clap::Args;
use pddgpu::{Buffer, Card, Create, Domains};

#[derive(Args)]
pub struct Options {
    /// Buffers of the one client.
    #[arg(long, default_value_t = 1_000)]
    few: u32,
    /// Buffers of the other.
    #[arg(long, default_value_t = 100_000)]
    many: u32,
    /// How often to read what the kernel says of each.
    #[arg(long, default_value_t = 200)]
    rounds: u32,
}

/// A client with buffers whose memory nobody has touched.
struct Client {
    card: Card,
    _buffers: Vec<Buffer>,
}

impl Client {
    fn new(count: u32) -> Result<Self> {
        let card = Card::open(Card::find()?.path())?;
        let create = Create::new(4096, Domains::CPU);
        let buffers = (0..count).map(|_| card.create(create));
        Ok(Self {
            _buffers: buffers.collect::<Result<_, _>>()?,
            card,
        })
    }

    /// How long it takes to read what the kernel says of it.
    fn read(&self) -> Result<Duration> {
        let path = format!("/proc/self/fdinfo/{}", self.card.as_fd().as_raw_fd());
        let start = Instant::now();
        let text = fs::read_to_string(path)?;
        let took = start.elapsed();

        ensure!(text.contains("drm-total-cpu"), "{text}");
        Ok(took)
    }
}

/// Prints the instructions of a read for the client with few buffers, and for the one with many.
pub fn run(options: &Options) -> Result<()> {
    let clients = [Client::new(options.few)?, Client::new(options.many)?];
    let mut took = [Vec::new(), Vec::new()];

    for _ in 0..options.rounds {
        for (took, client) in took.iter_mut().zip(&clients) {
            took.push(client.read()?);
        }
    }
    for took in &mut took {
        took.sort();
        let median = took.get(took.len() / 2).context("no rounds")?;

        print!("{} ", median.as_nanos());
    }
    println!();
    Ok(())
}
