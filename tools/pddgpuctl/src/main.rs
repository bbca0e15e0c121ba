// SPDX-License-Identifier: GPL-2.0

//! `pddgpuctl`: show and try out the memory of PDDGPU cards.

use std::process::ExitCode;

use clap::Parser;
use pddgpuctl::Arguments;

fn main() -> ExitCode {
    match pddgpuctl::run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("pddgpuctl: {error:#}");
            ExitCode::FAILURE
        }
    }
}
