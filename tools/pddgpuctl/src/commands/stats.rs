// SPDX-License-Identifier: GPL-2.0

//! `pddgpuctl stats`: prints what the driver has counted.

mod report;

use std::{
    io::{self, IsTerminal},
    thread,
    time::Duration,
};

use anyhow::Result;
use clap::Args;
use pddgpu::{Card, MemoryStats};
use rustix::termios::tcgetwinsize;

use crate::output::{json, stdout, units::parse_interval};

#[derive(Args)]
pub struct Arguments {
    /// Print the statistics again and again until ^C.
    ///
    /// They are printed every SECONDS seconds, from 0.1 to 86400, or every second if no number is
    /// given. On a terminal they are printed over those before. JSON is printed as one line each
    /// time.
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1",
        value_parser = parse_interval
    )]
    pub watch: Option<Duration>,
}

pub fn run(card: &Card, arguments: &Arguments, json: bool) -> Result<()> {
    if let Some(interval) = arguments.watch {
        return watch(card, interval, json);
    }
    let stats = card.memory_stats()?;
    if json {
        return json::print(&stats);
    }
    stdout::print(&report::text(&stats))
}

/// Prints the statistics again and again until a signal ends the process.
fn watch(card: &Card, interval: Duration, json: bool) -> Result<()> {
    let out = io::stdout();
    let is_terminal = out.is_terminal() && !json;
    let mut stats = card.memory_stats()?;
    if is_terminal {
        stdout::print("\x1b[2J")?;
    }
    loop {
        if json {
            json::print_line(&stats)?;
        } else if is_terminal {
            let window = tcgetwinsize(&out)?;
            let (rows, columns) = (window.ws_row.into(), window.ws_col.into());
            stdout::print(&redraw(&report::text(&stats), rows, columns))?;
        } else {
            stdout::print(&(report::text(&stats) + "\n"))?;
        }
        thread::sleep(interval);
        stats = card.memory_stats()?;
    }
}

/// What to write to a terminal of this size so that it shows as much of a text as fits, in place of
/// what it shows now.
fn redraw(text: &str, rows: usize, columns: usize) -> String {
    let mut screen = String::from("\x1b[H");
    // The last row is left to the cursor.
    for line in text.lines().take(rows.saturating_sub(1)) {
        screen.extend(line.chars().take(columns));
        screen += "\x1b[K\n";
    }
    screen + "\x1b[J"
}

/// Describes all counters by the names they have in JSON.
pub fn counters_help() -> String {
    let mut help = String::from("Counters in JSON:\n");
    for table in MemoryStats::counter_tables() {
        if !table.place.is_empty() {
            help += &format!("\nIn {}:\n", table.place);
        }
        for counter in table.counters {
            let (name, unit) = (counter.name, counter.unit);
            help += &format!("  {name} ({unit}): {}\n", counter.meaning);
        }
    }
    help
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_shows_as_much_as_fits() {
        assert_eq!(
            redraw("one\ntwo\nthree\n", 3, 2),
            "\x1b[Hon\x1b[K\ntw\x1b[K\n\x1b[J"
        );
    }

    #[test]
    fn help_describes_counters() {
        let help = counters_help();
        assert!(help.contains("\n  vram_used (bytes): VRAM that buffers take up now.\n"));
        assert!(help.contains("\nIn heaps[]:\n  allocated (bytes):"));
    }
}
