// SPDX-License-Identifier: GPL-2.0

//! How something is measured, and how it is printed.

use std::{arch::asm, time::Instant};

use anyhow::Result;

/// How often a figure is taken. The middle one counts.
pub const ROUNDS: u32 = 5;

/// Has the plugin (`count.c`) count what is executed from here on, for the next operation.
fn begin_counting() {
    // SAFETY: A no-op.
    unsafe { asm!(".byte 0x0f, 0x1f, 0x80, 0x01, 0x13, 0x57, 0x1b") };
}

/// Has it count no further.
fn end_counting() {
    // SAFETY: A no-op.
    unsafe { asm!(".byte 0x0f, 0x1f, 0x80, 0x02, 0x13, 0x57, 0x1b") };
}

/// Prints a line of JSON for each figure.
pub struct Table {
    group: &'static str,
    profile: bool,
}

impl Table {
    /// A table, or with `profile` the operations of one for the plugin to count.
    pub fn new(profile: bool) -> Self {
        Self { group: "", profile }
    }

    /// Begins a group of figures.
    pub fn group(&mut self, name: &'static str) {
        self.group = name;
    }

    /// Does something `count` times in a row, again and again, and prints the ns that it takes once.
    /// A first round fills the caches of the kernel, and does not count.
    pub fn measure(
        &self,
        name: &str,
        count: u32,
        operation: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        self.measure_parts(name, count, 1, operation)
    }

    /// As `measure`, of something that has parts, and prints the ns for each of them.
    pub fn measure_parts(
        &self,
        name: &str,
        count: u32,
        parts: u32,
        mut operation: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let mut times = Vec::new();

        if self.profile {
            for _ in 0..count {
                operation()?;
            }
            begin_counting();
            for _ in 0..count {
                operation()?;
            }
            end_counting();
            println!(
                r#"{{"group": "{}", "name": "{name}", "count": {}}}"#,
                self.group,
                count * parts
            );
            return Ok(());
        }
        for round in 0..=ROUNDS {
            let start = Instant::now();
            for _ in 0..count {
                operation()?;
            }
            if round > 0 {
                times.push(start.elapsed().as_nanos() as f64 / f64::from(count) / f64::from(parts));
            }
        }
        self.print(name, times);
        Ok(())
    }

    /// As `measure`, of something that prepares each time what is then timed.
    pub fn measure_timed(
        &self,
        name: &str,
        count: u32,
        mut operation: impl FnMut() -> Result<std::time::Duration>,
    ) -> Result<()> {
        let mut times = Vec::new();

        for round in 0..=ROUNDS {
            let mut sum = 0;
            for _ in 0..count {
                sum += operation()?.as_nanos();
            }
            if round > 0 {
                times.push(sum as f64 / f64::from(count));
            }
        }
        self.print(name, times);
        Ok(())
    }

    fn print(&self, name: &str, mut times: Vec<f64>) {
        times.sort_by(f64::total_cmp);
        println!(
            r#"{{"group": "{}", "name": "{name}", "instructions": {:.0}, "least": {:.0}, "most": {:.0}}}"#,
            self.group,
            times[times.len() / 2],
            times[0],
            times[times.len() - 1]
        );
    }
}
