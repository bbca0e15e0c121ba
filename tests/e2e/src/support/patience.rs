// SPDX-License-Identifier: GPL-2.0

//! How long tests wait for the kernel.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

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
