// SPDX-License-Identifier: GPL-2.0

//! `pddgpuctl create`: creates a buffer.

use anyhow::Result;
use clap::Args;
use pddgpu::{Card, Create, CreateFlags, Domains, Info};
use serde::Serialize;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{
    advice,
    output::{
        json, stdout,
        table::print_fields,
        text::address,
        units::{parse_alignment, parse_buffer_size, parse_domains, size},
    },
};

#[derive(Args)]
pub struct Arguments {
    /// Create a buffer of this many bytes.
    ///
    /// Larger units may be used, as in 64K, 1M or 2G. The driver rounds the size up to whole pages
    /// of 4096 bytes.
    #[arg(long, value_name = "BYTES", value_parser = parse_buffer_size)]
    pub size: u64,

    /// Allow the buffer to be in these domains: vram, gtt, cpu, or several with commas between
    /// them.
    #[arg(long, value_name = "DOMAINS", value_parser = parse_domains)]
    pub domain: Domains,

    /// Ask for more: cpu-access-required, no-cpu-access, cleared, contiguous, or several with
    /// commas between them.
    ///
    /// With cpu-access-required the CPU can reach the whole buffer while it is in VRAM. With
    /// no-cpu-access the CPU can never map it. With contiguous it is one range of addresses while
    /// it is in VRAM. The memory is always zeroed first, with cleared or without.
    #[arg(
        long,
        value_name = "FLAGS",
        default_value = "-",
        hide_default_value = true
    )]
    pub flags: CreateFlags,

    /// Align the GPU address to this many bytes, which must be a power of two.
    ///
    /// Larger units may be used, as in 64K. Without this option, the address is aligned to a page
    /// of 4096 bytes.
    #[arg(
        long,
        value_name = "BYTES",
        value_parser = parse_alignment,
        default_value = "0",
        hide_default_value = true
    )]
    pub alignment: u64,

    /// Keep the buffer until ^C or SIGTERM, and free it then.
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
    // The signals are caught before the buffer is created, so that none of them ends the process
    // while it has the buffer.
    let signals = arguments
        .hold
        .then(|| Signals::new([SIGINT, SIGTERM]))
        .transpose()?;

    let create = Create::new(arguments.size, arguments.domain)
        .alignment(arguments.alignment)
        .flags(arguments.flags);
    let buffer = advice::create(card, create)?;
    let (handle, info) = (buffer.handle(), buffer.info()?);
    if json {
        let info = &info;
        json::print(&Created { handle, info })?;
    } else {
        print_fields(&fields(handle, &info))?;
    }

    if let Some(mut signals) = signals {
        if !json {
            stdout::print("Held until ^C.\n")?;
        }
        signals.forever().next();
    }
    buffer.close()?;
    Ok(())
}

fn fields(handle: u32, info: &Info) -> [(&'static str, String); 8] {
    [
        ("Handle", handle.to_string()),
        ("Size", size(info.size)),
        ("Alignment", size(info.alignment)),
        ("Domains", info.domains.to_string()),
        ("Flags", info.flags.to_string()),
        ("Placement", info.placement.to_string()),
        ("GPU address", address(info.gpu_addr)),
        ("CPU-visible", size(info.visible)),
    ]
}
