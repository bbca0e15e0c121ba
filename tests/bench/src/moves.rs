// SPDX-License-Identifier: GPL-2.0

//! Moving buffers between VRAM and GTT, many at once, as a driver that evicts does.

use std::{
    fs,
    hint::spin_loop,
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicBool, Ordering::Relaxed},
        Arc,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{ensure, Context, Result};
use clap::Args;
use pddgpu::{Buffer, Card, Create, CreateFlags, Deadline, Domain, Domains};

#[derive(Args)]
pub struct Options {
    /// The chip to measure, as its ID says it.
    #[arg(long, value_parser = parse_hex)]
    chip: u32,
    /// Bytes of each buffer.
    #[arg(long)]
    size: u64,
    /// Bytes of all buffers, which are moved at once.
    #[arg(long, default_value_t = 64 << 20)]
    total: u64,
    /// How often to move them there and back.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Takes the time of idling out of what is printed, for a guest whose clock counts
    /// instructions.
    #[arg(long)]
    busy: bool,
}

fn parse_hex(text: &str) -> Result<u32, std::num::ParseIntError> {
    u32::from_str_radix(text.trim_start_matches("0x"), 16)
}

/// A thread that keeps the processor from idling, and knows the time it has had it.
pub struct Idler {
    stop: Arc<AtomicBool>,
    stat: PathBuf,
}

impl Idler {
    pub fn start() -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = std::sync::mpsc::channel();
        let seen = stop.clone();

        thread::spawn(move || -> Result<()> {
            rustix::process::nice(19)?;
            sender.send(rustix::thread::gettid())?;
            while !seen.load(Relaxed) {
                spin_loop();
            }
            Ok(())
        });

        let thread = receiver.recv().context("the idler does not start")?;
        Ok(Self {
            stop,
            stat: Path::new("/proc/self/task")
                .join(thread.as_raw_nonzero().to_string())
                .join("schedstat"),
        })
    }

    /// The time it has had.
    pub fn time(&self) -> Result<Duration> {
        let stat = fs::read_to_string(&self.stat)?;
        let ns = stat.split(' ').next().context("an empty schedstat")?;

        Ok(Duration::from_nanos(ns.parse()?))
    }
}

impl Drop for Idler {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

/// Moves all buffers; tells how long that took, without idling if there is an idler.
pub fn move_all(buffers: &[Buffer], domain: Domain, idler: Option<&Idler>) -> Result<Duration> {
    let idle = || idler.map_or(Ok(Duration::ZERO), Idler::time);
    let (start, idle_before) = (Instant::now(), idle()?);

    for buffer in buffers {
        buffer.move_to(domain)?;
    }
    for buffer in buffers {
        ensure!(buffer.wait(Deadline::NEVER)?, "still busy");
    }
    Ok(start.elapsed() - (idle()? - idle_before))
}

pub fn run(options: &Options) -> Result<()> {
    let card = Card::all()?
        .into_iter()
        .find(|card| {
            card.device()
                .is_ok_and(|device| device.chip_id == options.chip)
        })
        .context("no such card")?;
    let idler = options.busy.then(Idler::start).transpose()?;
    let buffers = (0..options.total / options.size)
        .map(|_| {
            card.create(Create {
                size: options.size,
                alignment: 0,
                domains: Domains::VRAM,
                flags: CreateFlags::empty(),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut best = [Duration::MAX; 2];
    // Looking at the clock and at the idler's time.
    let mut measuring = Duration::MAX;

    // The first round fills the kernel's caches, and is not counted.
    for round in 0..=options.rounds {
        for (best, domain) in best.iter_mut().zip([Domain::Gtt, Domain::Vram]) {
            let took = move_all(&buffers, domain, idler.as_ref())?;

            if round > 0 {
                *best = took.min(*best);
            }
        }
        measuring = move_all(&[], Domain::Gtt, idler.as_ref())?.min(measuring);
    }
    let bytes = options.size * buffers.len() as u64;
    println!(
        "{:#x} {} {} {} {}",
        options.chip,
        options.size,
        bytes,
        (best[0] - measuring).as_nanos(),
        (best[1] - measuring).as_nanos()
    );
    Ok(())
}
