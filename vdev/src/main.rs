// SPDX-License-Identifier: GPL-2.0

//! `pddgpu-vdev`: the virtual card as a program.

use anyhow::Result;
use clap::Parser;
use pddgpu_vdev::Options;

fn main() -> Result<()> {
    pddgpu_vdev::run(&Options::parse())
}
