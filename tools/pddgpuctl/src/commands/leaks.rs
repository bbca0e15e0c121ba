// SPDX-License-Identifier: GPL-2.0

//! `pddgpuctl leaks`: prints buffers that look leaked.

mod report;
mod sites;

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use pddgpu::{leak_traces, Card};
use rustix::thread::{capabilities, CapabilitySet};

use crate::output::{json, stdout};
use report::Report;

/// The exit status that `--fail` gives when there are confirmed leaks.
const FAILED: u8 = 3;

#[derive(Args)]
pub struct Arguments {
    /// Exit with status 3 when there are confirmed leaks.
    ///
    /// Those that are not shown count too.
    #[arg(long)]
    pub fail: bool,

    /// Group the leaks by the stack trace of their creation, with their number, bytes and growth.
    ///
    /// The driver saves stack traces while pddgpu_leak_traces in debugfs is 1. Only root may read
    /// them.
    #[arg(long)]
    pub sites: bool,
}

pub fn run(card: &Card, arguments: &Arguments, json: bool) -> Result<ExitCode> {
    let stats = card.memory_stats()?;
    let leaks = card.leaks()?;
    let report = if sees_all_clients() {
        Report::of_all(leaks)
    } else {
        Report::of_some(leaks, stats.suspected_leaks, stats.confirmed_leaks)
    };
    if arguments.sites {
        let sites = sites::sites(leak_traces::read(card)?);
        if json {
            json::print(&sites)?;
        } else {
            stdout::print(&sites::text(&sites))?;
        }
    } else if json {
        json::print(&report)?;
    } else {
        stdout::print(&report.text())?;
    }
    Ok(if arguments.fail && report.confirmed() > 0 {
        FAILED.into()
    } else {
        ExitCode::SUCCESS
    })
}

/// Whether the kernel lists the leaks of all clients for this process.
fn sees_all_clients() -> bool {
    let enough = CapabilitySet::PERFMON | CapabilitySet::SYS_ADMIN;
    capabilities(None).is_ok_and(|sets| sets.effective.intersects(enough))
}
