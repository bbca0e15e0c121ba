// SPDX-License-Identifier: GPL-2.0

//! Measures the driver, inside the VM.
//!
//! Under `vm/run --icount` the guest's clock counts instructions, one to the ns, so that what is
//! printed is instructions and the same on every machine.

mod copies;
mod create;
mod fdinfo;
mod moves;
mod table;

use anyhow::Result;
use clap::Parser;

/// Measures the PDDGPU driver.
#[derive(Parser)]
enum Command {
    /// Creates and closes buffers, and prints the ns that takes for each.
    Create(create::Options),
    /// Does each operation of the hot path, and prints the ns that it takes, in lines of JSON.
    Table(table::Options),
    /// Moves buffers between VRAM and GTT, and prints what that takes.
    Move(moves::Options),
    /// Copies buffers, each with a syncobj to be signalled, and moves as many.
    Copy(copies::Options),
    /// Reads what the kernel says of clients with few and with many buffers.
    Fdinfo(fdinfo::Options),
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Create(options) => create::run(&options),
        Command::Table(options) => table::run(&options),
        Command::Move(options) => moves::run(&options),
        Command::Copy(options) => copies::run(&options),
        Command::Fdinfo(options) => fdinfo::run(&options),
    }
}
