// SPDX-License-Identifier: GPL-2.0

//! `pddgpuctl`: show and try out the memory of PDDGPU cards.

use std::process::ExitCode;

fn main() -> ExitCode {
    pddgpuctl::main()
}
