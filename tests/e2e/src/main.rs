// SPDX-License-Identifier: GPL-2.0

//! End-to-end tests of the driver against the virtual card.
//!
//! This one program runs as root inside the VM, so that one boot serves all tests. It takes the
//! arguments of Rust's own test harness, a filter above all; tests run one after the other, since
//! each checks that nothing of it is left on the card.

mod drm;
mod engine;
mod ioctl;
mod lifecycle;
mod memory;
mod stats;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use pddgpu_e2e::support;

fn main() -> ExitCode {
    if let Some(code) = support::child::run() {
        return code;
    }

    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let tests = [
        ioctl::tests(),
        drm::tests(),
        memory::tests(),
        engine::tests(),
        stats::tests(),
        lifecycle::tests(),
    ];
    libtest_mimic::run(&arguments, tests.into_iter().flatten().collect()).exit_code()
}
