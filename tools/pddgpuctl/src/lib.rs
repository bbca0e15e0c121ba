// SPDX-License-Identifier: GPL-2.0

//! The command line of `pddgpuctl` and what it does.
//!
//! This is a library so that manual pages can be made of the command line.
//!
//! `FLOORS`, beside this crate's `Cargo.toml`, lists its modules so that each only uses those in
//! the lines above its own.

mod arguments;
mod clients;
mod commands;
mod output;

use std::process::ExitCode;

use anyhow::Result;
use pddgpu::Card;

pub use arguments::Arguments;
use arguments::Command;
use commands::{create, demo, export, heaps, info, leaks, list, stats, top, transfer};

/// Does what the command line says. Gives the exit status of the program.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let json = arguments.json;
    let card = match &arguments.device {
        Some(path) => Card::open(path)?,
        None => Card::find()?,
    };
    match &arguments.command {
        Command::Info => info::run(&card, json)?,
        Command::Create(arguments) => create::run(&card, arguments, json)?,
        Command::List => list::run(&card, json)?,
        Command::Clients => commands::clients::run(&card, json)?,
        Command::Copy(arguments) => transfer::copy(&card, arguments, json)?,
        Command::Fill(arguments) => transfer::fill(&card, arguments, json)?,
        Command::Export(arguments) => return export::run(&card, arguments),
        Command::Heaps => heaps::run(&card, json)?,
        Command::Stats(arguments) => stats::run(&card, arguments, json)?,
        Command::Leaks(arguments) => return leaks::run(&card, arguments, json),
        Command::Top(arguments) => top::run(&card, arguments, json)?,
        Command::Demo => return demo::run(&card, json),
    }
    Ok(ExitCode::SUCCESS)
}
