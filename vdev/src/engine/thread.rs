// SPDX-License-Identifier: GPL-2.0

//! The thread on which the command processor runs.

use std::io;
use std::sync::{Arc, PoisonError};
use std::thread;

use crate::device::SharedDevice;
use crate::engine::command_processor::Step;

/// Starts the thread, which lives as long as the process.
pub fn spawn(device: SharedDevice) -> io::Result<()> {
    thread::Builder::new()
        .name(String::from("engine"))
        .spawn(move || run(&device))?;
    Ok(())
}

fn run(shared: &SharedDevice) {
    let (memory, work) = {
        let device = shared.lock();
        (device.memory().clone(), Arc::clone(device.work()))
    };
    loop {
        let mut device = shared.lock();
        let access = memory.access();
        match device.step(&access) {
            Step::Again => (),
            Step::Move(transfers) => {
                drop(device);
                for transfer in &transfers {
                    access.carry_out(transfer);
                }
            }
            Step::Idle => {
                drop(access);
                drop(work.wait(device).unwrap_or_else(PoisonError::into_inner));
            }
            Step::Pause(time) => {
                drop(access);
                drop(
                    work.wait_timeout(device, time)
                        .unwrap_or_else(PoisonError::into_inner),
                );
            }
        }
    }
}
