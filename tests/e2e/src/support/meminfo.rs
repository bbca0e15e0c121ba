// SPDX-License-Identifier: GPL-2.0

//! The machine's memory, and what it does when there is little of it.

use std::{fs, process::Command};

use anyhow::{ensure, Context, Result};

/// Bytes of a line of `/proc/meminfo`.
pub fn meminfo(name: &str) -> Result<u64> {
    // Each processor counts for itself first; this has them add up.
    fs::read("/proc/sys/vm/stat_refresh").context("stat_refresh")?;
    let text = fs::read_to_string("/proc/meminfo")?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .and_then(|value| value.split_whitespace().next())
        .with_context(|| format!("no {name} in /proc/meminfo"))?;
    Ok(kib.parse::<u64>()? << 10)
}

/// Has the kernel drop what it could do without, as it would if memory were short.
pub fn drop_caches() -> Result<()> {
    fs::write("/proc/sys/vm/drop_caches", "2").context("drop_caches")
}

/// Swap space, which goes when this is dropped; in compressed memory.
pub struct Swap;

const DEVICE: &str = "/dev/zram0";

impl Swap {
    pub fn on(bytes: u64) -> Result<Self> {
        run("modprobe", &["zram"])?;
        fs::write("/sys/block/zram0/disksize", bytes.to_string()).context("disksize")?;
        let swap = Self;
        run("mkswap", &[DEVICE])?;
        run("swapon", &[DEVICE])?;
        Ok(swap)
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        // If it was never on, there is nothing to turn off.
        let _ = run("swapoff", &[DEVICE]);
        fs::write("/sys/block/zram0/reset", "1").expect("the swap is off, so it can go");
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output()?;
    ensure!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
