// SPDX-License-Identifier: GPL-2.0

//! `pddgpuctl export`: runs a command with a buffer as a dma-buf.

use std::{
    os::fd::AsRawFd,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};
use clap::Args;
use pddgpu::{Card, Create, Domains};
use rustix::io::{fcntl_setfd, FdFlags};

use crate::output::units::parse_size;

/// The variable in which the command finds the number of the file.
const VARIABLE: &str = "PDDGPU_DMABUF";

/// What a shell returns for a command that was killed, besides the number of the signal.
const KILLED: u8 = 128;

#[derive(Args)]
pub struct Arguments {
    /// Create a buffer of this many bytes. Larger units may be used, as in 64K, 1M or 2G.
    #[arg(long, value_name = "BYTES", value_parser = parse_size, default_value = "1M")]
    pub size: u64,

    /// Allow the buffer to be in these domains.
    #[arg(long, value_name = "DOMAINS", default_value = "gtt")]
    pub domain: Domains,

    /// Let the command only read it.
    #[arg(long)]
    pub read_only: bool,

    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Runs the command. Gives its exit status.
pub fn run(card: &Card, arguments: &Arguments) -> Result<ExitCode> {
    let buffer = card.create(Create::new(arguments.size, arguments.domain))?;
    let shared = buffer.export(!arguments.read_only)?;
    // The command inherits it.
    fcntl_setfd(&shared, FdFlags::empty())?;

    let (program, rest) = arguments.command.split_first().context("no command")?;
    let status = Command::new(program)
        .args(rest)
        .env(VARIABLE, shared.as_raw_fd().to_string())
        .status()
        .with_context(|| format!("cannot run {program}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(KILLED)))
}
