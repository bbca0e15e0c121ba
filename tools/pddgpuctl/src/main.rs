// SPDX-License-Identifier: GPL-2.0

//! Look at and try out PDDGPU cards.

mod commands;
mod output;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};
use pddgpu::Card;

use crate::commands::{create, demo, heaps, info, leaks, list, stats, top};

/// Look at and try out PDDGPU cards.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// The card's node, such as /dev/dri/renderD128 [default: the first PDDGPU card].
    #[arg(long, global = true, value_name = "PATH")]
    device: Option<PathBuf>,

    /// Print JSON, all sizes and addresses in bytes.
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print what the card is and the limits it sets.
    Info,
    /// Create a buffer, print where it went, and free it.
    Create(create::Arguments),
    /// Print every buffer of every client (as root, from debugfs).
    List,
    /// Print how much of each kind of memory is in use.
    Heaps,
    /// Print what the driver counted: bytes, times, moves, failures and leaks.
    Stats(stats::Arguments),
    /// Print buffers that have been alive for suspiciously long, and why they are.
    Leaks(leaks::Arguments),
    /// Show all of that, and who uses the memory, on a full screen until q or ^C.
    Top(top::Arguments),
    /// Show, and check from both sides, that the card's memory works.
    Demo,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("pddgpuctl: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    let json = arguments.json;
    let card = match &arguments.device {
        Some(path) => Card::open(path)?,
        None => Card::find()?,
    };
    match &arguments.command {
        Command::Info => info::run(&card, json)?,
        Command::Create(arguments) => create::run(&card, arguments, json)?,
        Command::List => list::run(&card, json)?,
        Command::Heaps => heaps::run(&card, json)?,
        Command::Stats(arguments) => stats::run(&card, arguments, json)?,
        Command::Leaks(arguments) => return leaks::run(&card, arguments, json),
        Command::Top(arguments) => top::run(&card, arguments, json)?,
        Command::Demo => return demo::run(&card, json),
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn global_options_may_follow_the_command() {
        let arguments = Arguments::parse_from(["pddgpuctl", "heaps", "--json", "--device", "/x"]);
        assert!(arguments.json);
        assert_eq!(arguments.device, Some("/x".into()));
    }

    #[test]
    fn a_buffer_is_described_in_words() {
        let line = "pddgpuctl create --size 1M --domain vram,gtt --flags contiguous --hold";
        let Command::Create(create) = Arguments::parse_from(line.split(' ')).command else {
            panic!("create is the command");
        };
        assert_eq!(create.size, 1 << 20);
        assert_eq!(create.domain, pddgpu::Domains::VRAM | pddgpu::Domains::GTT);
        assert_eq!(create.flags, pddgpu::CreateFlags::VRAM_CONTIGUOUS);
        assert!(create.hold);
    }

    #[test]
    fn statistics_are_watched_every_second_if_nothing_else_is_said() {
        for (option, seconds) in [("--watch", 1), ("--watch=3", 3)] {
            let Command::Stats(stats) =
                Arguments::parse_from(["pddgpuctl", "stats", option]).command
            else {
                panic!("stats is the command");
            };
            assert_eq!(stats.watch, Some(std::time::Duration::from_secs(seconds)));
        }
    }
}
