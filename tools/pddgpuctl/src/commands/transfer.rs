// SPDX-License-Identifier: GPL-2.0

//! `pddgpuctl copy` and `pddgpuctl fill`: have the card copy and fill memory, and check it.

use std::time::Instant;

use anyhow::{ensure, Result};
use clap::{value_parser, Args};
use pddgpu::{Buffer, Card, Create, CreateFlags, Deadline, Domains, Syncobj};
use serde::Serialize;

use crate::{
    advice,
    output::{
        json,
        table::print_fields,
        units::{duration, parse_domains, parse_transfer_size, size},
    },
};

#[derive(Args)]
pub struct CopyArguments {
    /// Copy this many bytes, a multiple of 4. Larger units may be used, as in 64K or 1M.
    #[arg(long, value_name = "BYTES", value_parser = parse_transfer_size, default_value = "16M")]
    pub size: u64,

    /// Copy from a buffer in one of these domains.
    #[arg(long, value_name = "DOMAINS", value_parser = parse_domains, default_value = "gtt")]
    pub from: Domains,

    /// Copy to a buffer in one of these domains.
    #[arg(long, value_name = "DOMAINS", value_parser = parse_domains, default_value = "vram")]
    pub to: Domains,

    /// Copy so many times.
    #[arg(long, value_name = "TIMES", default_value = "10", value_parser = value_parser!(u32).range(1..))]
    pub count: u32,
}

#[derive(Args)]
pub struct FillArguments {
    /// Fill this many bytes, a multiple of 4. Larger units may be used, as in 64K or 1M.
    #[arg(long, value_name = "BYTES", value_parser = parse_transfer_size, default_value = "16M")]
    pub size: u64,

    /// Fill a buffer in one of these domains.
    #[arg(long, value_name = "DOMAINS", value_parser = parse_domains, default_value = "vram")]
    pub domain: Domains,

    /// Repeat this 32-bit value.
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    pub value: u32,

    /// Fill so many times.
    #[arg(long, value_name = "TIMES", default_value = "10", value_parser = value_parser!(u32).range(1..))]
    pub count: u32,
}

#[derive(Serialize)]
struct Report {
    bytes: u64,
    count: u32,
    total_ns: u64,
}

pub fn copy(card: &Card, arguments: &CopyArguments, json: bool) -> Result<()> {
    let from = mappable(card, arguments.size, arguments.from)?;
    let to = mappable(card, arguments.size, arguments.to)?;
    let content: Vec<u8> = (0..from.size()).map(|at| (at ^ (at >> 9)) as u8).collect();
    from.map()?.write(0, &content);

    let report = measure(card, arguments.size, arguments.count, |syncs| {
        from.copy_to(0, &to, 0, arguments.size, syncs)
    })?;
    let length = usize::try_from(arguments.size)?;
    ensure!(
        to.map()?.to_vec()[..length] == content[..length],
        "the copy differs"
    );
    print(&report, json)
}

pub fn fill(card: &Card, arguments: &FillArguments, json: bool) -> Result<()> {
    let buffer = mappable(card, arguments.size, arguments.domain)?;

    let report = measure(card, arguments.size, arguments.count, |syncs| {
        buffer.fill(0, arguments.size, arguments.value, syncs)
    })?;
    let content = buffer.map()?.to_vec();
    let value = arguments.value.to_le_bytes();
    let mut words = content[..usize::try_from(arguments.size)?].chunks_exact(4);
    ensure!(
        words.all(|word| word == value),
        "the buffer has other values"
    );
    print(&report, json)
}

fn mappable(card: &Card, size: u64, domains: Domains) -> Result<Buffer> {
    let create = Create::new(size, domains).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let buffer = advice::create(card, create)?;
    buffer.wait(Deadline::NEVER)?;
    Ok(buffer)
}

/// Submits work so many times, and waits for the last.
fn measure(
    card: &Card,
    bytes: u64,
    count: u32,
    submit: impl Fn(&[pddgpu::raw::drm_pddgpu_sync]) -> pddgpu::Result<()>,
) -> Result<Report> {
    let done = Syncobj::new(card)?;
    let start = Instant::now();
    for number in (0..count).rev() {
        let syncs = [done.signal_after(0)];
        submit(if number == 0 { &syncs } else { &[] })?;
    }
    done.wait(0, Deadline::NEVER)?;
    Ok(Report {
        bytes,
        count,
        total_ns: start.elapsed().as_nanos().try_into().unwrap_or(u64::MAX),
    })
}

fn print(report: &Report, json: bool) -> Result<()> {
    if json {
        return json::print(report);
    }
    let all = report.bytes * u64::from(report.count);
    let seconds = report.total_ns as f64 / 1e9;
    print_fields(&[
        ("Size", size(report.bytes)),
        ("Times", report.count.to_string()),
        ("Took", duration(report.total_ns)),
        ("Rate", format!("{}/s", size((all as f64 / seconds) as u64))),
    ])
}
