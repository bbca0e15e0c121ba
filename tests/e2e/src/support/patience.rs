// SPDX-License-Identifier: GPL-2.0

//! How long tests wait for the kernel.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{ensure, Result};

/// How long the kernel may take to free what is no longer used.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Tries until it succeeds or the kernel has had its time.
pub fn eventually<T>(attempt: impl Fn() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(10)),
            result => return result,
        }
    }
}

/// Waits until a task, of which this is the folder in `/proc`, waits for a fence in the kernel.
pub fn await_fence_wait(task: &str) -> Result<()> {
    eventually(|| {
        let stack = fs::read_to_string(format!("{task}/stack"))?;
        ensure!(
            stack.contains("dma_fence") || stack.contains("dma_resv"),
            "it does not wait: {stack}"
        );
        Ok(())
    })
}
