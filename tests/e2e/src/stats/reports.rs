// SPDX-License-Identifier: GPL-2.0

//! The statistics and leaks as root reads them in debugfs.

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{
    Create, CreateFlags, Domain, Domains, HeapStats, Leak, LeakState, MemoryStats, MoveStats,
    TimeStats,
};

use crate::support::{
    child::{Keep, LEAKER},
    fixture::{trials, Bench},
    leaker::start_leaker,
    patience::eventually,
    stats::{await_leaks, quiet, report, Setting, Settings},
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        statistics_are_what_the_query_says,
        leaks_are_by_process_with_the_most_bytes_first,
        creations_are_traced_if_asked_for,
    )
}

/// The numbers in the first line that starts so.
fn numbers(text: &str, name: &str) -> Result<Vec<u64>> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let line = line.with_context(|| format!("no '{name}' in:\n{text}"))?;
    line.split_whitespace()
        .map(|word| word.parse().with_context(|| format!("{name}{line}")))
        .collect()
}

fn statistics_are_what_the_query_says(bench: &Bench) -> Result<()> {
    let card = &bench.card;
    let mut buffers = Vec::new();
    for domain in Domain::ALL {
        for flags in [CreateFlags::CPU_ACCESS_REQUIRED, CreateFlags::NO_CPU_ACCESS] {
            let create = Create::new(24 << 10, domain.into()).flags(flags);
            let buffer = card.create(create)?;
            buffer.move_to(Domain::Gtt)?;
            buffers.push(buffer);
        }
    }
    buffers.truncate(4);
    let result = card.create(Create::new(1 << 42, Domains::all()));
    ensure!(result.is_err(), "{result:?}");

    // What was moved or freed counts once the card is done with it.
    let (text, stats) = eventually(|| {
        let (before, text) = (quiet(card)?, report(card, "pddgpu_memory_stats")?);
        let after = quiet(card)?;
        ensure!(before == after, "{before:?} became {after:?}");
        Ok((text, after))
    })?;
    ensure_same(&text, &stats)?;
    ensure_all_by_name(&text, &stats)
}

/// Counters that the report has in lines of another name, and what is free, which it leaves out.
const NOT_BY_NAME: [&str; 14] = [
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
];

/// Checks that the report has a line for each other counter, and a column for each of a heap's and of
/// a direction's.
fn ensure_all_by_name(text: &str, stats: &MemoryStats) -> Result<()> {
    for counter in MemoryStats::COUNTERS {
        let name = counter.description.name;
        if !NOT_BY_NAME.contains(&name) {
            let value = (counter.value)(stats);
            let shown = numbers(text, &format!("{name} "))?;
            ensure!(shown == [value], "{name} is {value}:\n{text}");
        }
    }
    let heap = HeapStats::COUNTERS
        .iter()
        .map(|counter| counter.description);
    let moves = MoveStats::COUNTERS
        .iter()
        .map(|counter| counter.description);
    for (table, counter) in heap
        .map(|c| ("heap ", c))
        .chain(moves.map(|c| ("moves ", c)))
    {
        let columns = text.lines().find(|line| line.starts_with(table));
        let columns = columns.with_context(|| format!("no '{table}' in:\n{text}"))?;
        let found = columns.split_whitespace().any(|word| word == counter.name);
        ensure!(found, "no column {} in:\n{columns}", counter.name);
    }
    Ok(())
}

/// Checks that each figure of the report is that of the query.
fn ensure_same(text: &str, stats: &MemoryStats) -> Result<()> {
    let names = ["VRAM ", "visible VRAM ", "GTT ", "CPU "];
    for (name, heap) in names.into_iter().zip(&stats.heaps) {
        let wanted = [heap.live, heap.peak, heap.allocated, heap.freed];
        ensure!(numbers(text, name)? == wanted, "{name}: {heap:?}\n{text}");
    }
    let line = |times: &TimeStats| {
        let (p50, p99) = (times.percentile_ns(50.0), times.percentile_ns(99.0));
        [times.count, times.avg_ns(), p50, p99, times.max_ns]
    };
    for (name, times) in [
        ("alloc ", &stats.alloc),
        ("free ", &stats.free),
        ("move ", &stats.moving),
    ] {
        ensure!(numbers(text, name)? == line(times), "{times:?}\n{text}");
    }
    for moves in &stats.moves {
        let name = format!("{:<4} to {:<4}", moves.from, moves.to);
        let wanted = [moves.count, moves.bytes];
        ensure!(numbers(text, &name)? == wanted, "{moves:?}\n{text}");
    }
    for failure in &stats.failures {
        let count = numbers(text, &failure.name())?;
        ensure!(count == [failure.count], "{failure:?}\n{text}");
    }
    ensure!(numbers(text, "ENOSPC ")?.len() == 1, "{text}");
    for (name, count) in [
        ("live ", stats.objects_live),
        ("suspected ", stats.suspected_leaks),
        ("confirmed ", stats.confirmed_leaks),
    ] {
        ensure!(numbers(text, name)? == [count], "{name}: {stats:?}\n{text}");
    }
    Ok(())
}

fn leaks_are_by_process_with_the_most_bytes_first(bench: &Bench) -> Result<()> {
    let card = &bench.card;
    let settings = Settings::of(card)?;
    settings.prepare(LeakState::Suspected)?;
    let text = report(card, "pddgpu_leaks")?;
    ensure!(text == "0 suspected, 0 confirmed\n", "{text}");

    // This process has the oldest leak and the youngest, but not the most bytes.
    let first = card.create(Create::new(8 << 10, Domains::CPU))?;
    let (small, _) = start_leaker(bench, Keep::Handle, 4 << 10)?;
    let (large, _) = start_leaker(bench, Keep::Mapping, 40 << 10)?;
    let second = card.create(Create::new(12 << 10, Domains::GTT | Domains::CPU))?;
    settings.check()?;
    let leaks = await_leaks(card, |leaks| leaks.len() == 4, "four leaks")?;

    let text = report(card, "pddgpu_leaks")?;
    let mut lines = text.lines();
    ensure!(lines.next() == Some("4 suspected, 0 confirmed"), "{text}");
    let own = std::process::id();
    let heads: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("pid "))
        .collect();
    let wanted = [
        format!(
            "pid {} command {LEAKER}: 40960 bytes in 1 buffer",
            large.pid()
        ),
        format!("pid {own} command pddgpu-e2e: 20480 bytes in 2 buffers"),
        format!(
            "pid {} command {LEAKER}: 4096 bytes in 1 buffer",
            small.pid()
        ),
    ];
    ensure!(heads == wanted, "not {wanted:#?}:\n{text}");

    ensure_entries(&text, &leaks)?;
    drop((first, second));
    small.finish()?;
    large.finish()?;
    eventually(|| {
        let text = report(card, "pddgpu_leaks")?;
        ensure!(text == "0 suspected, 0 confirmed\n", "{text}");
        Ok(())
    })
}

/// Checks the line of each buffer that was created above.
fn ensure_entries(text: &str, leaks: &[Leak]) -> Result<()> {
    // id, size, age, state, placement, domains, client, mmap_offset, dma_buf, creator, why
    let entries: Vec<Vec<_>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .filter(|words: &Vec<_>| {
            words
                .first()
                .is_some_and(|word| word.parse::<u64>().is_ok())
        })
        .filter(|words: &Vec<_>| words.len() > 7)
        .collect();
    ensure!(entries.len() == 4, "{text}");
    for (size, placement, domains, why) in [
        (8 << 10, "CPU", "CPU", ["handles", "1"]),
        (4 << 10, "VRAM", "VRAM", ["handles", "1"]),
        (40 << 10, "VRAM", "VRAM", ["mappings", "1"]),
        (12 << 10, "GTT", "GTT|CPU", ["handles", "1"]),
    ] {
        let leak = leaks.iter().find(|leak| leak.size == size);
        let leak = leak.with_context(|| format!("{size} bytes: {leaks:?}"))?;
        let (id, client) = (leak.id.to_string(), leak.client.to_string());
        let entry = entries.iter().find(|entry| entry[0] == id);
        let entry = entry.with_context(|| format!("{leak:?}:\n{text}"))?;
        let offset = format!("{:#x}", leak.mmap_offset);
        let wanted = [
            placement, domains, &client, &offset, "0", "lives", why[0], why[1],
        ];
        ensure!(
            entry[1] == size.to_string() && entry[3] == "suspected",
            "{entry:?}"
        );
        // Read a moment later, and times of two processors differ a little.
        let age: u64 = entry[2].parse()?;
        ensure!(age.abs_diff(leak.age_ms) < 5000, "{entry:?} {leak:?}");
        ensure!(entry[4..] == wanted, "{entry:?}, not {wanted:?}");
    }
    Ok(())
}

fn creations_are_traced_if_asked_for(bench: &Bench) -> Result<()> {
    let card = &bench.card;
    let settings = Settings::of(card)?;
    settings.prepare(LeakState::Suspected)?;
    let _before = card.create(Create::new(4096, Domains::CPU))?;
    settings.set(Setting::Traces, 1)?;
    let _traced = card.create(Create::new(8192, Domains::CPU))?;
    settings.set(Setting::Traces, 0)?;
    let _after = card.create(Create::new(12288, Domains::CPU))?;
    settings.check()?;
    await_leaks(card, |leaks| leaks.len() == 3, "three leaks")?;

    // The lines of each buffer: itself, and the calls that created it, if any.
    let text = report(card, "pddgpu_leaks")?;
    let calls_of = |size: &str| {
        let at = text
            .lines()
            .position(|line| line.split_whitespace().nth(1) == Some(size));
        let after = at.map(|at| text.lines().skip(at + 1));
        let calls = after.map(|lines| lines.take_while(|line| line.contains("+0x")));
        calls
            .map(Iterator::collect::<Vec<_>>)
            .with_context(|| format!("no {size}:\n{text}"))
    };
    for size in ["4096", "12288"] {
        ensure!(calls_of(size)?.is_empty(), "{size} bytes traced:\n{text}");
    }
    let calls = calls_of("8192")?;
    for name in ["drm_ioctl+", "__x64_sys_ioctl+"] {
        let found = calls.iter().any(|call| call.contains(name));
        ensure!(found, "no {name}: {calls:#?}");
    }
    Ok(())
}
