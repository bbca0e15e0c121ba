// SPDX-License-Identifier: GPL-2.0

//! `pddgpu-vdev`: the virtual card as a program.

use std::process::ExitCode;

use clap::Parser;
use pddgpu_vdev::Options;

fn main() -> ExitCode {
    match pddgpu_vdev::run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pddgpu-vdev: {error:#}");
            ExitCode::FAILURE
        }
    }
}
