// SPDX-License-Identifier: GPL-2.0

use pddgpu::{raw, Description, FailureStats, MoveStats, TimeStats, Unit};
use zerocopy::IntoBytes;

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
Heap          Buffers    Free   Peak  Allocated  Freed
VRAM            1 MiB  63 MiB  2 MiB      5 MiB  4 MiB
VRAM visible    1 MiB       -  2 MiB      5 MiB  4 MiB

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
    assert_eq!(text(&stats()), expected);
}

#[test]
fn what_never_happened_takes_no_room() {
    let text = text(&MemoryStats::default());
    assert!(!text.contains("Moves") && !text.contains("Failed"));
    assert!(text.contains("Evictions  none\n"));
}

#[test]
fn a_new_counter_has_a_line_of_its_own() {
    let counter = |name, unit| Counter {
        description: Description {
            name,
            unit,
            meaning: "",
        },
        value: |stats: &MemoryStats| stats.evicted_bytes,
    };
    let counters = [
        counter("evictions", Unit::Count),
        counter("faults", Unit::Count),
        counter("faulted_bytes", Unit::Bytes),
    ];
    let expected = "\
Buffers        1 alive, 5 created, 4 freed
Evictions      1 move, 4 KiB
Leaks          0 suspected, 1 confirmed
Faults         4096
Faulted bytes  4 KiB
";
    assert_eq!(totals(&stats(), &counters), expected);
}

/// Statistics in which no two counters are equal.
fn distinct() -> MemoryStats {
    let mut stats = raw::drm_pddgpu_query_memory_stats::default();
    for (index, word) in stats.as_mut_bytes().chunks_exact_mut(8).enumerate() {
        word.copy_from_slice(&((index as u64 + 1) << 20).to_ne_bytes());
    }
    for heap in &mut stats.heaps {
        heap.domain = raw::PDDGPU_GEM_DOMAIN_VRAM;
    }
    for moves in &mut stats.moves {
        moves.from = raw::PDDGPU_GEM_DOMAIN_VRAM;
        moves.to = raw::PDDGPU_GEM_DOMAIN_GTT;
    }
    MemoryStats::from(&stats)
}

/// Checks that the report has the value of every counter, but for those that say what others do.
fn check_shown<T>(text: &str, counted: &T, counters: &[Counter<T>], repeated: &[&str]) {
    for counter in counters {
        let Description { name, unit, .. } = counter.description;
        let value = value(unit, (counter.value)(counted));
        let shown = text.match_indices(&value).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            before.is_none_or(char::is_whitespace)
        });
        assert!(
            shown || repeated.contains(&name),
            "`pddgpuctl stats` does not show {name} ({value}): add it to a table or to the summary"
        );
    }
}

#[test]
fn every_counter_is_in_the_report() {
    let stats = distinct();
    let text = text(&stats);
    // The table of heaps has the bytes in use, and that of operations the moves and averages.
    let repeated = [
        "vram_used",
        "gtt_used",
        "cpu_used",
        "gtt_free",
        "total_moves",
        "avg_alloc_time_ns",
        "avg_free_time_ns",
        "avg_move_time_ns",
    ];
    check_shown(&text, &stats, MemoryStats::COUNTERS, &repeated);
    check_shown(&text, &stats.heaps[0], HeapStats::COUNTERS, &[]);
    for times in [&stats.alloc, &stats.free, &stats.moving] {
        // The average is made of the time of all together.
        check_shown(&text, times, TimeStats::COUNTERS, &["total_ns"]);
        check_shown(&text, times, TimeStats::DERIVED, &[]);
    }
    check_shown(&text, &stats.moves[0], MoveStats::COUNTERS, &[]);
    check_shown(&text, &stats.failures[0], FailureStats::COUNTERS, &[]);
}
