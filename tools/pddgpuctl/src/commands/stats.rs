// SPDX-License-Identifier: GPL-2.0

use std::{
    io::{self, IsTerminal, Write},
    thread,
    time::Duration,
};

use anyhow::Result;
use clap::Args;
use pddgpu::{Card, Domain, HeapStats, MemoryStats, TimeStats};
use rustix::termios::tcgetwinsize;

use crate::output::{self, duration, parse_interval, plural, size, Table};

#[derive(Args)]
pub struct Arguments {
    /// Print anew every second, or as often as told, until ^C.
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
    let stats = card.memory_stats()?;
    let Some(interval) = arguments.watch else {
        if json {
            return output::json(&stats);
        }
        io::stdout().write_all(report(&stats).as_bytes())?;
        return Ok(());
    };

    let mut out = io::stdout();
    let is_terminal = out.is_terminal() && !json;
    if is_terminal {
        out.write_all(b"\x1b[2J")?;
    }
    let mut stats = stats;
    loop {
        if json {
            // A line each, so that a reader knows where one ends.
            writeln!(out, "{}", serde_json::to_string(&stats)?)?;
        } else if is_terminal {
            let window = tcgetwinsize(&out)?;
            let (rows, columns) = (window.ws_row.into(), window.ws_col.into());
            out.write_all(redraw(&report(&stats), rows, columns).as_bytes())?;
        } else {
            writeln!(out, "{}", report(&stats))?;
        }
        out.flush()?;
        thread::sleep(interval);
        stats = card.memory_stats()?;
    }
}

/// What makes a terminal show as much of a text as fits, over what it shows now.
fn redraw(text: &str, rows: usize, columns: usize) -> String {
    let mut screen = String::from("\x1b[H");
    // The cursor needs a line below.
    for line in text.lines().take(rows.saturating_sub(1)) {
        screen.extend(line.chars().take(columns));
        screen += "\x1b[K\n";
    }
    screen + "\x1b[J"
}

/// All there is to say, for people.
fn report(stats: &MemoryStats) -> String {
    let mut text = String::new();
    let mut add = |table: &Table| {
        table.lines().for_each(|line| text += &(line + "\n"));
        text.push('\n');
    };
    add(&heaps(stats));
    add(&operations(stats));
    if !stats.moves.is_empty() {
        add(&moves(stats));
    }
    if !stats.failures.is_empty() {
        add(&failures(stats));
    }
    for (name, value) in sums(stats) {
        text += &format!("{name:<10} {value}\n");
    }
    text
}

fn heaps(stats: &MemoryStats) -> Table {
    let mut table = Table::new(["Heap", "Used", "Free", "Peak", "Allocated", "Freed"]);
    for heap in &stats.heaps {
        table.row([
            heap_name(heap),
            size(heap.live),
            free(stats, heap).map_or_else(|| "-".to_owned(), size),
            size(heap.peak),
            size(heap.allocated),
            size(heap.freed),
        ]);
    }
    table
}

fn heap_name(heap: &HeapStats) -> String {
    let part = if heap.visible { " visible" } else { "" };
    format!("{}{part}", heap.domain)
}

/// How much is free, where there is an answer: the CPU domain is as large as the machine allows.
fn free(stats: &MemoryStats, heap: &HeapStats) -> Option<u64> {
    match (heap.domain, heap.visible) {
        (Domain::Vram, false) => Some(stats.vram_free),
        (Domain::Gtt, false) => Some(stats.gtt_free),
        _ => None,
    }
}

fn operations(stats: &MemoryStats) -> Table {
    let mut table = Table::new(["Operation", "Count", "Average", "p50", "p99", "Max"]);
    for (name, times) in [
        ("alloc", &stats.alloc),
        ("free", &stats.free),
        ("move", &stats.moving),
    ] {
        let [average, p50, p99, max] = figures(times);
        table.row([
            name.to_owned(),
            times.count.to_string(),
            average,
            p50,
            p99,
            max,
        ]);
    }
    table
}

/// Average, median, 99th percentile and maximum.
fn figures(times: &TimeStats) -> [String; 4] {
    let figures = [
        times.avg_ns(),
        times.percentile_ns(50.0),
        times.percentile_ns(99.0),
        times.max_ns,
    ];
    figures.map(|ns| match times.count {
        0 => "-".to_owned(),
        _ => duration(ns),
    })
}

fn moves(stats: &MemoryStats) -> Table {
    let mut table = Table::new(["Moves", "Count", "Size"]);
    for moves in &stats.moves {
        table.row([
            format!("{} -> {}", moves.from, moves.to),
            moves.count.to_string(),
            size(moves.bytes),
        ]);
    }
    table
}

fn failures(stats: &MemoryStats) -> Table {
    let mut table = Table::new(["Failed allocations", "Count"]);
    for failure in &stats.failures {
        table.row([failure.name().into_owned(), failure.count.to_string()]);
    }
    table
}

fn sums(stats: &MemoryStats) -> [(&'static str, String); 3] {
    let buffers = format!(
        "{} alive, {} created, {} freed",
        stats.objects_live, stats.total_allocations, stats.total_deallocations
    );
    let evictions = match stats.evictions {
        0 => "none".to_owned(),
        count => format!("{}, {}", plural(count, "move"), size(stats.evicted_bytes)),
    };
    let leaks = format!(
        "{} suspected, {} confirmed",
        stats.suspected_leaks, stats.confirmed_leaks
    );
    [
        ("Buffers", buffers),
        ("Evictions", evictions),
        ("Leaks", leaks),
    ]
}

#[cfg(test)]
mod tests {
    use pddgpu::{FailureStats, MoveStats};

    use super::*;

    fn stats() -> MemoryStats {
        let mut stats = MemoryStats {
            vram_free: 63 << 20,
            total_allocations: 5,
            total_deallocations: 4,
            objects_live: 1,
            evictions: 1,
            evicted_bytes: 4096,
            confirmed_leaks: 1,
            moves: vec![MoveStats {
                from: Domain::Vram,
                to: Domain::Gtt,
                count: 1,
                bytes: 4096,
            }],
            failures: vec![FailureStats {
                error: Some(28),
                count: 12,
            }],
            ..Default::default()
        };
        for visible in [false, true] {
            stats.heaps.push(HeapStats {
                domain: Domain::Vram,
                visible,
                allocated: 5 << 20,
                freed: 4 << 20,
                live: 1 << 20,
                peak: 2 << 20,
            });
        }
        stats.alloc.count = 5;
        stats.alloc.total_ns = 6000;
        stats.alloc.max_ns = 2000;
        stats.alloc.histogram.0[9] = 4;
        stats.alloc.histogram.0[10] = 1;
        stats
    }

    #[test]
    fn the_report_says_all_there_is() {
        let expected = "\
Heap           Used    Free   Peak  Allocated  Freed
VRAM          1 MiB  63 MiB  2 MiB      5 MiB  4 MiB
VRAM visible  1 MiB       -  2 MiB      5 MiB  4 MiB

Operation  Count  Average     p50     p99     Max
alloc          5   1.2 µs  1.0 µs  2.0 µs  2.0 µs
free           0        -       -       -       -
move           0        -       -       -       -

Moves        Count   Size
VRAM -> GTT      1  4 KiB

Failed allocations  Count
ENOSPC                 12

Buffers    1 alive, 5 created, 4 freed
Evictions  1 move, 4 KiB
Leaks      0 suspected, 1 confirmed
";
        assert_eq!(report(&stats()), expected);
    }

    #[test]
    fn what_never_happened_takes_no_room() {
        let text = report(&MemoryStats::default());
        assert!(!text.contains("Moves") && !text.contains("Failed"));
        assert!(text.contains("Evictions  none\n"));
    }

    #[test]
    fn a_terminal_shows_as_much_as_fits() {
        assert_eq!(
            redraw("one\ntwo\nthree\n", 3, 2),
            "\x1b[Hon\x1b[K\ntw\x1b[K\n\x1b[J"
        );
    }
}
