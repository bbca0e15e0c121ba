// SPDX-License-Identifier: GPL-2.0

use std::io::{self, Write};

use anyhow::Result;
use clap::Args;
use pddgpu::{Card, Create, CreateFlags, Domains, Info};
use serde::Serialize;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::output::{self, address, parse_size, size};

#[derive(Args)]
pub struct Arguments {
    /// Bytes, or with a unit: 64K, 1M, 2G.
    #[arg(long, value_parser = parse_size)]
    pub size: u64,

    /// Where it may live: vram, gtt, cpu, or several with commas between them.
    #[arg(long, value_name = "DOMAINS")]
    pub domain: Domains,

    /// What else is asked of it: cpu-access-required, no-cpu-access, cleared, contiguous.
    #[arg(long, default_value = "-", hide_default_value = true)]
    pub flags: CreateFlags,

    /// Alignment of its GPU address: a power of two, in bytes or with a unit.
    #[arg(long, value_parser = parse_size, default_value = "0", hide_default_value = true)]
    pub alignment: u64,

    /// Keep it until ^C.
    #[arg(long)]
    pub hold: bool,
}

#[derive(Serialize)]
struct Created<'a> {
    handle: u32,
    #[serde(flatten)]
    info: &'a Info,
}

pub fn run(card: &Card, arguments: &Arguments, json: bool) -> Result<()> {
    // Caught from before there is a buffer, so that none is left to the end of the process.
    let signals = arguments
        .hold
        .then(|| Signals::new([SIGINT, SIGTERM]))
        .transpose()?;

    let create = Create::new(arguments.size, arguments.domain)
        .alignment(arguments.alignment)
        .flags(arguments.flags);
    let buffer = card.create(create)?;
    let info = buffer.info()?;
    if json {
        output::json(&Created {
            handle: buffer.handle(),
            info: &info,
        })?;
    } else {
        println!("{:<14} {}", "Handle", buffer.handle());
        for (name, value) in rows(&info) {
            println!("{name:<14} {value}");
        }
    }

    if let Some(mut signals) = signals {
        if !json {
            println!("Held until ^C.");
        }
        io::stdout().flush()?;
        signals.forever().next();
    }
    buffer.close()?;
    Ok(())
}

fn rows(info: &Info) -> Vec<(&'static str, String)> {
    vec![
        ("Size", size(info.size)),
        ("Alignment", size(info.alignment)),
        ("Domains", info.domains.to_string()),
        ("Flags", info.flags.to_string()),
        ("Placement", info.placement.to_string()),
        ("GPU address", address(info.gpu_addr)),
        ("CPU-visible", size(info.visible)),
    ]
}
