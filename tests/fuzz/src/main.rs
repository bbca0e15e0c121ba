// SPDX-License-Identifier: GPL-2.0

//! The fuzzer: random programs against driver and card, and the driver against a card that lies.
//!
//! It runs as root inside the VM. `docs/testing.md` tells what it does and what a failure looks
//! like.

mod administrator;
mod calls;
mod hostile;
mod operations;
mod plan;
mod program;
mod round;
mod shared;
mod supervisor;
mod table;
mod touch;

use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::{plan::Plan, round::Bench, shared::Shared, supervisor::supervise};

/// Random programs and lying cards against the PDDGPU driver.
#[derive(Parser)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Plays rounds of random programs until the time is over
    Run {
        /// How long
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// What the programs are made from; a new one each time if it is not given
        #[arg(long)]
        seed: Option<u64>,
        /// The first round, and with --seconds 0 the only one
        #[arg(long, default_value_t = 0)]
        round: u64,
    },
    /// Lists the operations of a round; needs no card
    List {
        #[arg(long)]
        seed: u64,
        #[arg(long)]
        round: u64,
    },
    /// Plays rounds as lists have them, until one fails
    Replay {
        /// Files with lists
        files: Vec<PathBuf>,
        /// How often each is played, as threads do not meet in the same way each time
        #[arg(long, default_value_t = 3)]
        times: u32,
    },
    /// Has the card lie, with clients at work
    Hostile {
        /// How many seeds
        #[arg(long, default_value_t = 20)]
        seeds: u64,
        /// The first of them
        #[arg(long, default_value_t = 0)]
        first: u64,
    },
    /// A client of a card that lies
    #[command(hide = true)]
    Client { number: u64 },
}

/// A seed that nobody has had.
fn new_seed() -> Result<u64> {
    let text = fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    let digits = text.get(..8).context("a random number is too short")?;
    Ok(u64::from_str_radix(digits, 16)?)
}

fn run(shared: &'static Shared, seconds: u64, seed: u64, first: u64) -> Result<()> {
    println!("seed {seed}");
    let mut bench = Bench::new(shared)?;
    let began = Instant::now();
    let mut told = began;
    let mut round = first;
    loop {
        let name = format!("seed {seed}, round {round}");
        bench.play(&name, &Plan::new(seed, round)).context(name)?;
        round += 1;
        if told.elapsed() > Duration::from_secs(10) {
            println!("{} rounds, {} calls", round - first, bench.calls());
            told = Instant::now();
        }
        if began.elapsed() >= Duration::from_secs(seconds) {
            break;
        }
    }
    tell_times(shared);
    let time = began.elapsed().as_secs_f64();
    let calls = bench.calls();
    let rate = calls as f64 / time;
    println!(
        "{calls} calls in {} rounds and {time:.0} s: {rate:.0} a second",
        round - first
    );
    Ok(())
}

/// Says which kinds of operations took most of the time.
fn tell_times(shared: &Shared) {
    let kinds = operations::kinds();
    let mut times: Vec<_> = kinds
        .iter()
        .enumerate()
        .map(|(number, kind)| {
            let count = shared.counts[number].load(Relaxed);
            (
                shared.times[number].load(Relaxed) / 1_000_000,
                count,
                kind.name,
            )
        })
        .collect();
    times.sort();
    for (time, count, name) in times.iter().rev().take(8) {
        println!("{name}: {count} took {time} ms");
    }
}

fn replay(shared: &'static Shared, files: &[PathBuf], times: u32) -> Result<()> {
    let mut bench = Bench::new(shared)?;
    for file in files {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let plan = Plan::parse(&text)?;
        let name = format!("playing {}", file.display());
        println!("{name}: {} operations", plan.len());
        for _ in 0..times {
            bench.play(&name, &plan).with_context(|| name.clone())?;
        }
    }
    Ok(())
}

/// Does the work, and says how many tests passed.
fn work(shared: &'static Shared, command: Command) -> ExitCode {
    let result = match command {
        Command::Run {
            seconds,
            seed,
            round,
        } => seed
            .map_or_else(new_seed, Ok)
            .and_then(|seed| run(shared, seconds, seed, round)),
        Command::Replay { files, times } => replay(shared, &files, times),
        Command::Hostile { seeds, first } => {
            hostile::run(shared, first..first.saturating_add(seeds))
        }
        Command::Client { number } => return hostile::play_client(number),
        Command::List { seed, round } => {
            print!("{}", Plan::new(seed, round).list());
            return ExitCode::SUCCESS;
        }
    };
    match result {
        Ok(()) => {
            println!("1 passed, 0 failed");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("FAILED {error:#}");
            println!("0 passed, 1 failed");
            ExitCode::FAILURE
        }
    }
}

fn main() -> ExitCode {
    let command = Options::parse().command;
    let result = Shared::new().and_then(|shared| match command {
        Command::Client { .. } | Command::List { .. } => Ok(work(shared, command)),
        _ => supervise(shared, |shared| work(shared, command)),
    });
    result.unwrap_or_else(|error| {
        println!("FAILED {error:#}");
        ExitCode::FAILURE
    })
}
