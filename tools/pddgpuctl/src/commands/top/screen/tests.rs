// SPDX-License-Identifier: GPL-2.0

use std::time::{Duration, Instant};

use pddgpu::{Domain, Domains, FailureStats, Heap, HeapStats, Leak, MoveStats, OwnerKind};
use ratatui::{backend::TestBackend, Terminal};

use crate::commands::top::{
    source::{Part, Sample},
    tree::Node,
};

use super::*;

fn heap(domain: Domain, used: u64, total: u64) -> Heap {
    Heap {
        domain,
        total,
        usable: total,
        used,
        reserved: 0,
        visible_total: total / 4,
        visible_used: used / 8,
    }
}

fn leak(state: LeakState, size: u64) -> Leak {
    Leak {
        id: 1,
        size,
        age_ms: 312_000,
        client: 3,
        pid: 157,
        command: "lea\x1bky".into(),
        state,
        domains: Domains::VRAM,
        placement: Some(Domain::Vram),
        handles: 1,
        mappings: 0,
        exports: 0,
        pins: 0,
        exited: false,
        mmap_offset: 0x1000,
        dma_buf: None,
        label: String::new(),
    }
}

fn node(name: &str, children: Vec<Node>) -> Node {
    Node {
        name: name.into(),
        buffers: 12,
        vram: 1 << 29,
        gtt: 0,
        cpu: 4096,
        children,
    }
}

fn part(kind: OwnerKind, bytes: u64) -> Part {
    Part { kind, bytes }
}

fn sample(vram_used: u64) -> Sample {
    let mut sample = Sample {
        heaps: vec![
            heap(Domain::Vram, vram_used, 1 << 30),
            heap(Domain::Gtt, 1 << 20, 4 << 30),
            heap(Domain::Cpu, 0, 1 << 30),
        ],
        leaks: vec![
            leak(LeakState::Suspected, 8 << 20),
            leak(LeakState::Confirmed, 4096),
        ],
        owners: vec![node("/app.slice", vec![node("firefox (157)", vec![])])],
        vram: vec![
            part(OwnerKind::Client, 50),
            part(OwnerKind::DmaBuf, 10),
            part(OwnerKind::Driver, 10),
            part(OwnerKind::Clean, 20),
            part(OwnerKind::Dirty, 10),
        ],
        ..Default::default()
    };
    let stats = &mut sample.stats;
    stats.objects_live = 12;
    stats.total_allocations = 34;
    stats.evictions = 1;
    stats.suspected_leaks = 1;
    stats.confirmed_leaks = 1;
    stats.failures.push(FailureStats {
        error: Some(28),
        count: 2,
    });
    stats.heaps.push(HeapStats {
        domain: Domain::Vram,
        visible: false,
        allocated: 0,
        freed: 0,
        live: 0,
        peak: 3 << 28,
    });
    // A traffic that grows: 1, 3, 5, … MiB a second.
    stats.moves.push(MoveStats {
        from: Domain::Gtt,
        to: Domain::Vram,
        count: 1,
        bytes: (vram_used >> 27).pow(2) << 20,
    });
    stats.alloc.count = 34;
    stats.alloc.max_ns = 5_000_000;
    stats.alloc.histogram.0[10] = 33;
    stats.alloc.histogram.0[22] = 1;
    sample
}

fn state() -> State {
    let mut state = State::new("PDD2000 at /x".into(), Duration::from_secs(1), sample(0));
    let start = Instant::now();
    for second in 1..=8 {
        let taken = start + Duration::from_secs(second);
        state.update(sample(second << 27), taken);
    }
    state
}

/// The lines of a terminal of this size.
fn lines(state: &mut State, columns: u16, rows: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| draw(frame, state)).unwrap();
    let cells = terminal.backend().buffer().content();
    cells
        .chunks(columns.into())
        .map(|line| line.iter().map(|cell| cell.symbol()).collect())
        .collect()
}

#[test]
fn eighty_columns_and_twenty_four_rows_show_everything() {
    let expected = "\
PDD2000 at /x                                       12 buffers alive, 34 created
┌ Memory ──────────────────────────────────────────────────────────────────────┐
│VRAM         100.0 %                                                      ▂▄▆█│
│1 GiB of 1 GiB                                                        ▂▄▆█████│
│VRAM visible  50.0 %                                                          │
│128 MiB of 256 MiB                                                    ▁▂▃▄▅▆▇█│
│GTT            0.1 %                                                          │
│1 MiB of 4 GiB                                                       ▁▁▁▁▁▁▁▁▁│
│CPU            0.0 %                                                          │
│0 B of 1 GiB                                                                  │
└███████████████████████████████████████▓▓▓▓▓▓▓████████                ▒▒▒▒▒▒▒▒┘
┌ Operations ────────────────────────────────────────┐┌ Leaks ─────────────────┐
│          Count       /s      p50      p99       Max││1 suspected, 1 confirmed│
│alloc        34        0   2.0 µs   5.0 ms    5.0 ms││4 KiB lea?ky (157) 5 min│
│free          0        0        -        -         -││8 MiB lea?ky (157) 5 min│
│move          0        0        -        -         -││                        │
└ 1 eviction, 2 failed creations ────────────────────┘└────────────────────────┘
┌ Owners by Total ─────────────────────────────────────────────────────────────┐
│                       Buffers        VRAM         GTT         CPU       Total│
│/app.slice                  12     512 MiB         0 B       4 KiB  ~512.0 MiB│
│  firefox (157)             12     512 MiB         0 B       4 KiB  ~512.0 MiB│
│                                                                              │
└──────────────────────────────────────────────────────────────────────────────┘
q quits, h helps   every 1 s                         moved 15 MiB/s      ▁▂▃▄▅▆█";
    assert_eq!(lines(&mut state(), 80, 24).join("\n"), expected);
}

#[test]
fn sixty_columns_and_fifteen_rows_show_memory_and_owners() {
    let expected = "\
PDD2000 at /x                                               
VRAM         100.0 %  1 GiB of 1 GiB                        
VRAM visible  50.0 %  128 MiB of 256 MiB                    
GTT            0.1 %  1 MiB of 4 GiB                        
CPU            0.0 %  0 B of 1 GiB                          
██████████████████████████████▓▓▓▓▓▓██████            ▒▒▒▒▒▒
1 suspected, 1 confirmed                                    
┌ Owners by Total ─────────────────────────────────────────┐
│                           Buffers        VRAM       Total│
│/app.slice                      12     512 MiB  ~512.0 MiB│
│  firefox (157)                 12     512 MiB  ~512.0 MiB│
│                                                          │
│                                                          │
└──────────────────────────────────────────────────────────┘
q quits, h helps   every 1 s     moved 15 MiB/s      ▁▂▃▄▅▆█";
    assert_eq!(lines(&mut state(), 60, 15).join("\n"), expected);
}

#[test]
fn larger_terminals_show_more() {
    let screen = lines(&mut state(), 132, 50).join("\n");
    assert!(screen.contains("peak 768 MiB"));
    assert!(screen.contains("4 KiB lea?ky (157) 5 min 12 s"));
}

#[test]
fn the_screen_says_why_owners_are_not_known() {
    let mut sample = sample(1 << 20);
    sample.stats.vram_used = 1 << 20;
    sample.owners.clear();
    sample.owners_error = Some("only root may see that".into());
    let mut state = State::new(String::new(), Duration::from_secs(1), sample);
    let screen = lines(&mut state, 80, 24).join("\n");
    assert!(screen.contains("All together: VRAM 1 MiB, GTT 0 B, CPU 0 B"));
    assert!(screen.contains("only root may see"));
}

#[test]
fn terminals_of_any_size_are_drawn_on() {
    for (columns, rows) in [(1, 1), (20, 5), (79, 23), (500, 2), (2, 200)] {
        assert_eq!(lines(&mut state(), columns, rows).len(), usize::from(rows));
    }
}

#[test]
fn a_card_without_any_figures_is_drawn() {
    let mut state = State::new(String::new(), Duration::from_secs(1), Sample::default());
    let screen = lines(&mut state, 80, 24).join("\n");
    assert!(screen.contains("0 suspected, 0 confirmed"));
}

#[test]
fn large_numbers_are_short() {
    for (number, text) in [
        (0.0, "0"),
        (2.5, "2.5"),
        (12.5, "12"),
        (9_999_999.0, "9999999"),
        (12_345_678.0, "12 M"),
        (1e12, "1000 G"),
        (u64::MAX as f64, "18 E"),
    ] {
        assert_eq!(short(number), text);
    }
}

#[test]
fn the_help_is_over_everything_else() {
    let mut state = state();
    state.view.is_help = true;
    for (columns, rows) in [(80, 24), (60, 15)] {
        let screen = lines(&mut state, columns, rows).join("\n");
        assert!(screen.contains("┌ Keys ──"), "{screen}");
        assert!(screen.contains("sort by the next column"), "{screen}");
    }
}

#[test]
fn a_filter_is_shown_while_it_is_typed() {
    let mut state = state();
    state.view.filter = "fire".into();
    state.view.is_editing = true;
    let screen = lines(&mut state, 60, 15).join("\n");
    assert!(screen.contains("└ /fire_ ──"), "{screen}");
    assert!(screen.contains("firefox (157)"), "{screen}");
    state.view.filter = "fox (158)".into();
    let screen = lines(&mut state, 60, 15).join("\n");
    assert!(!screen.contains("firefox"), "{screen}");
}
