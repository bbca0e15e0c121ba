// SPDX-License-Identifier: GPL-2.0

//! The statistics as text.

use pddgpu::{Counter, Domain, HeapStats, MemoryStats};

use crate::output::{
    table::Table,
    text::{or_dash, plural},
    units::{duration, size, value},
};

/// The totals that the tables and the lines of [`summary`] show. Each of the others has a line of
/// its own below.
const SHOWN_ABOVE: [&str; 16] = [
    "vram_used",
    "vram_free",
    "gtt_used",
    "gtt_free",
    "cpu_used",
    "total_allocations",
    "total_deallocations",
    "total_moves",
    "avg_alloc_time_ns",
    "avg_free_time_ns",
    "avg_move_time_ns",
    "suspected_leaks",
    "confirmed_leaks",
    "objects_live",
    "evictions",
    "evicted_bytes",
];

/// The whole report. What never occurred takes no room in it.
pub fn text(stats: &MemoryStats) -> String {
    let mut text = String::new();
    let mut add = |table: Table| {
        table.lines().for_each(|line| text += &(line + "\n"));
        text.push('\n');
    };
    add(heaps(stats));
    add(operations(stats));
    if !stats.moves.is_empty() {
        add(moves(stats));
    }
    if !stats.failures.is_empty() {
        add(failures(stats));
    }
    text + &totals(stats, MemoryStats::COUNTERS)
}

/// The totals, a line for each name.
fn totals(stats: &MemoryStats, counters: &[Counter<MemoryStats>]) -> String {
    let mut lines = Vec::from(summary(stats));
    lines.extend(others(stats, counters));
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in lines {
        text += &format!("{name:<width$}  {value}\n");
    }
    text
}

fn heaps(stats: &MemoryStats) -> Table {
    let mut table = Table::new(["Heap", "Buffers", "Free", "Peak", "Allocated", "Freed"]);
    for heap in &stats.heaps {
        table.row([
            heap_name(heap),
            size(heap.live),
            or_dash(free(stats, heap).map(size)),
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

/// Bytes that are free. The CPU domain has no such figure: it is as large as the machine allows.
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
        let time = |ns| or_dash((times.count > 0).then(|| duration(ns)));
        table.row([
            name.to_owned(),
            times.count.to_string(),
            time(times.avg_ns()),
            time(times.percentile_ns(50.0)),
            time(times.percentile_ns(99.0)),
            time(times.max_ns),
        ]);
    }
    table
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

/// Totals that are best understood together.
fn summary(stats: &MemoryStats) -> [(String, String); 3] {
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
        ("Buffers".to_owned(), buffers),
        ("Evictions".to_owned(), evictions),
        ("Leaks".to_owned(), leaks),
    ]
}

/// All totals that are not shown above.
fn others(stats: &MemoryStats, counters: &[Counter<MemoryStats>]) -> Vec<(String, String)> {
    counters
        .iter()
        .filter(|counter| !SHOWN_ABOVE.contains(&counter.description.name))
        .map(|counter| {
            let name = counter.description.name.replace('_', " ");
            let value = value(counter.description.unit, (counter.value)(stats));
            (capitalized(&name), value)
        })
        .collect()
}

fn capitalized(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    first.to_ascii_uppercase() + rest
}

#[cfg(test)]
mod tests;
