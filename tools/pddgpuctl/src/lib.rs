// SPDX-License-Identifier: GPL-2.0

//! The command line of `pddgpuctl` and what it does.
//!
//! This is a library so that manual pages can be made of the command line.
//!
//! `FLOORS`, beside this crate's `Cargo.toml`, lists its modules so that each only uses those in
//! the lines above its own.

mod advice;
mod arguments;
mod cgroups;
mod clients;
mod commands;
mod output;
mod processes;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Result;
use clap::{error::ErrorKind, CommandFactory, Parser};
use pddgpu::Card;

pub use arguments::Arguments;
use arguments::Command;
use commands::{
    budget, create, demo, export, heaps, info, leaks, list, metrics, owners, stats, top, transfer,
    watch,
};
use output::stdout::StdoutError;

/// What a shell says of a program that a closed pipe has ended: 128 and the number of SIGPIPE.
const PIPE_CLOSED: u8 = 128 + 13;

/// The program.
pub fn main() -> ExitCode {
    let result = match Arguments::try_parse() {
        Ok(arguments) => run(&arguments),
        Err(error) => print_usage(&error),
    };
    result.unwrap_or_else(|error| {
        if let Some(error) = error.downcast_ref::<StdoutError>() {
            if error.is_closed() {
                return PIPE_CLOSED.into();
            }
        }
        // If this cannot be written either, there is nobody left to tell.
        let _ = writeln!(io::stderr(), "pddgpuctl: {error:#}");
        ExitCode::FAILURE
    })
}

/// Prints what was asked for with `--help`, or what is wrong with the command line.
fn print_usage(error: &clap::Error) -> Result<ExitCode> {
    let printed = error.print();
    if !error.use_stderr() {
        printed.map_err(StdoutError::from)?;
        return Ok(ExitCode::SUCCESS);
    }
    if error.kind() == ErrorKind::InvalidSubcommand {
        let command = Arguments::command();
        let names: Vec<_> = command.get_subcommands().map(|c| c.get_name()).collect();
        let _ = writeln!(io::stderr(), "\nThe commands are {}.", names.join(", "));
    }
    Ok(u8::try_from(error.exit_code()).unwrap_or(2).into())
}

/// Does what the command line says. Gives the exit status of the program.
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
        Command::Clients => commands::clients::run(&card, json)?,
        Command::Budget => budget::run(&card, json)?,
        Command::Copy(arguments) => transfer::copy(&card, arguments, json)?,
        Command::Fill(arguments) => transfer::fill(&card, arguments, json)?,
        Command::Export(arguments) => return export::run(&card, arguments),
        Command::Heaps => heaps::run(&card, json)?,
        Command::Stats(arguments) => stats::run(&card, arguments, json)?,
        Command::Owners(arguments) => owners::run(&card, arguments, json)?,
        Command::Metrics(arguments) => metrics::run(&card, arguments, json)?,
        Command::Leaks(arguments) => return leaks::run(&card, arguments, json),
        Command::Top(arguments) => top::run(&card, arguments, json)?,
        Command::Watch(arguments) => watch::run(&card, arguments, json)?,
        Command::Demo => return demo::run(&card, json),
    }
    Ok(ExitCode::SUCCESS)
}
