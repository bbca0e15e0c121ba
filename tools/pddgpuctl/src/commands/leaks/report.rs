// SPDX-License-Identifier: GPL-2.0

//! Leaks by the process that created them.

use std::{cmp::Reverse, collections::BTreeMap};

use pddgpu::{Leak, LeakState};
use serde::Serialize;

use crate::output::{
    table::Table,
    text::{or_dash, plural, printable},
    units::{age, size},
};

/// All leaks there are, and those that can be shown.
#[derive(Serialize)]
pub struct Report {
    /// Suspected leaks of all clients.
    suspected: u64,
    /// Confirmed leaks of all clients.
    confirmed: u64,
    /// How many of these the kernel does not list for this process.
    hidden: u64,
    processes: Vec<Process>,
}

/// The leaks among the buffers that one process created.
#[derive(Serialize)]
struct Process {
    pid: u32,
    command: String,
    /// Whether it has ended.
    exited: bool,
    /// Bytes of all its leaks together.
    size: u64,
    buffers: Vec<Buffer>,
}

#[derive(Serialize)]
struct Buffer {
    #[serde(flatten)]
    leak: Leak,
    orphaned: bool,
}

impl Report {
    /// Makes a report of the leaks of all clients.
    pub fn of_all(leaks: Vec<Leak>) -> Self {
        Self::of_some(leaks, 0, 0)
    }

    /// Makes a report of the leaks that can be shown, and of the totals of all clients. The list
    /// may have more leaks than the totals, because the driver is asked for it later.
    pub fn of_some(leaks: Vec<Leak>, suspected: u64, confirmed: u64) -> Self {
        let count = |state| leaks.iter().filter(|leak| leak.state == state).count() as u64;
        let suspected = suspected.max(count(LeakState::Suspected));
        let confirmed = confirmed.max(count(LeakState::Confirmed));
        Self {
            suspected,
            confirmed,
            hidden: (suspected + confirmed).saturating_sub(leaks.len() as u64),
            processes: by_process(leaks),
        }
    }

    /// Confirmed leaks of all clients.
    pub fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// The report as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for process in &self.processes {
            text += &process.text();
            text.push('\n');
        }
        text += &match (self.suspected, self.confirmed) {
            (0, 0) => "No leaks.\n".to_owned(),
            (suspected, confirmed) => format!("{suspected} suspected, {confirmed} confirmed.\n"),
        };
        if self.hidden > 0 {
            text += &format!(
                "{} of other clients not shown: that takes CAP_PERFMON or CAP_SYS_ADMIN.\n",
                self.hidden
            );
        }
        text
    }
}

impl Process {
    fn text(&self) -> String {
        let mut text = format!(
            "{} ({}{}): {}, {}\n",
            printable(&self.command),
            self.pid,
            if self.exited { ", exited" } else { "" },
            plural(self.buffers.len() as u64, "buffer"),
            size(self.size)
        );
        let mut table = Table::new([
            "  Buffer", "Size", "In", "Domains", "Age", "State", "Client", "Offset", "dma-buf",
        ]);
        // A table would align this last column to the right.
        let mut reasons = vec!["Alive by".to_owned()];
        for Buffer { leak, .. } in &self.buffers {
            table.row([
                format!("  {}", leak.id),
                size(leak.size),
                or_dash(leak.placement),
                leak.domains.to_string(),
                age(leak.age_ms),
                state_name(leak.state).to_owned(),
                leak.client.to_string(),
                format!("{:#x}", leak.mmap_offset),
                or_dash(leak.dma_buf),
            ]);
            reasons.push(alive_by(leak));
        }
        for (line, reason) in table.lines().zip(reasons) {
            text += &format!("{line}  {reason}\n");
        }
        text
    }
}

/// Groups leaks by the process that created them. Processes and their buffers come by size, the
/// largest first.
fn by_process(leaks: Vec<Leak>) -> Vec<Process> {
    let mut processes = BTreeMap::new();
    for leak in leaks {
        processes
            .entry((leak.pid, leak.command.clone()))
            .or_insert_with(Vec::new)
            .push(leak);
    }
    let mut processes: Vec<_> = processes
        .into_iter()
        .map(|((pid, command), mut leaks)| {
            leaks.sort_by_key(|leak| Reverse((leak.size, leak.age_ms)));
            Process {
                pid,
                command,
                exited: leaks.iter().all(|leak| leak.exited),
                size: leaks.iter().map(|leak| leak.size).sum(),
                buffers: leaks
                    .into_iter()
                    .map(|leak| Buffer {
                        orphaned: leak.is_orphaned(),
                        leak,
                    })
                    .collect(),
            }
        })
        .collect();
    processes.sort_by_key(|process| Reverse(process.size));
    processes
}

fn state_name(state: LeakState) -> &'static str {
    match state {
        LeakState::Suspected => "suspected",
        LeakState::Confirmed => "confirmed",
    }
}

/// Names what keeps a buffer alive.
fn alive_by(leak: &Leak) -> String {
    let reasons: Vec<_> = [
        ("handles", leak.handles),
        ("mappings", leak.mappings),
        ("exports", leak.exports),
        ("pins", leak.pins),
    ]
    .into_iter()
    .filter(|&(_, count)| count > 0)
    .map(|(what, count)| format!("{what} {count}"))
    .collect();
    let reasons = if reasons.is_empty() {
        "orphaned".to_owned()
    } else {
        reasons.join(", ")
    };
    match printable(&leak.label) {
        label if label.is_empty() => reasons,
        label => format!("{reasons}; {label}"),
    }
}

#[cfg(test)]
mod tests {
    use pddgpu::{Domain, Domains};

    use super::*;

    fn leak(id: u64, size: u64, pid: u32) -> Leak {
        Leak {
            id,
            size,
            age_ms: 312_000,
            client: 3,
            pid,
            command: format!("program {pid}"),
            state: LeakState::Confirmed,
            domains: Domains::VRAM | Domains::GTT,
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

    #[test]
    fn leaks_are_grouped_by_process_the_largest_first() {
        let orphan = Leak {
            handles: 0,
            state: LeakState::Suspected,
            placement: None,
            ..leak(4, 4096, 8)
        };
        let kept = Leak {
            mappings: 2,
            exports: 3,
            pins: 4,
            dma_buf: Some(77),
            label: "a\nlabel".into(),
            ..leak(3, 2 << 20, 8)
        };
        let exited = Leak {
            exited: true,
            ..leak(1, 1 << 20, 7)
        };
        let report = Report::of_all(vec![exited, orphan, kept]);
        let expected = "\
program 8 (8): 2 buffers, ~2.0 MiB
  Buffer   Size    In   Domains         Age      State  Client  Offset  dma-buf  Alive by
  3       2 MiB  VRAM  VRAM|GTT  5 min 12 s  confirmed       3  0x1000       77  handles 1, mappings 2, exports 3, pins 4; a?label
  4       4 KiB     -  VRAM|GTT  5 min 12 s  suspected       3  0x1000        -  orphaned

program 7 (7, exited): 1 buffer, 1 MiB
  Buffer   Size    In   Domains         Age      State  Client  Offset  dma-buf  Alive by
  1       1 MiB  VRAM  VRAM|GTT  5 min 12 s  confirmed       3  0x1000        -  handles 1

1 suspected, 2 confirmed.
";
        assert_eq!(report.text(), expected);
    }

    #[test]
    fn what_others_leak_is_counted_if_not_shown() {
        let report = Report::of_some(vec![leak(1, 4096, 7)], 2, 3);
        assert_eq!((report.hidden, report.confirmed), (4, 3));
        assert!(report.text().contains("4 of other clients not shown"));

        let younger = Report::of_some(vec![leak(1, 4096, 7)], 0, 0);
        assert_eq!((younger.hidden, younger.confirmed), (0, 1));
    }

    #[test]
    fn no_leaks_are_said_to_be_none() {
        assert_eq!(Report::of_all(vec![]).text(), "No leaks.\n");
    }

    #[test]
    fn json_has_every_figure() {
        let report = Report::of_all(vec![leak(1, 4096, 7)]);
        let json = serde_json::to_value(report).unwrap();
        let buffer = &json["processes"][0]["buffers"][0];
        assert_eq!(buffer["age_ms"], 312_000);
        assert_eq!(buffer["state"], "confirmed");
        assert_eq!(buffer["orphaned"], false);
    }
}
