// SPDX-License-Identifier: GPL-2.0

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Result;
use clap::Args;
use pddgpu::{Card, Leak, LeakState};
use rustix::thread::{capabilities, CapabilitySet};
use serde::Serialize;

use crate::output::{self, age, plural, printable, size, Table};

/// The exit status that `--fail` gives when there are confirmed leaks.
const FAILED: u8 = 3;

#[derive(Args)]
pub struct Arguments {
    /// Exit with status 3 when there are confirmed leaks.
    #[arg(long)]
    pub fail: bool,
}

/// All leaks there are, and those that can be shown.
#[derive(Serialize)]
struct Report {
    /// Of all clients.
    suspected: u64,
    /// Of all clients.
    confirmed: u64,
    /// How many of them the kernel does not show to this process.
    hidden: u64,
    processes: Vec<Process>,
}

/// The leaks among the buffers that a process created.
#[derive(Serialize)]
struct Process {
    pid: u32,
    command: String,
    /// Bytes in all.
    size: u64,
    buffers: Vec<Buffer>,
}

#[derive(Serialize)]
struct Buffer {
    #[serde(flatten)]
    leak: Leak,
    orphaned: bool,
}

pub fn run(card: &Card, arguments: &Arguments, json: bool) -> Result<ExitCode> {
    let stats = card.memory_stats()?;
    let leaks = card.leaks()?;
    let report = if sees_all() {
        Report::of_all(leaks)
    } else {
        Report::of_some(leaks, stats.suspected_leaks, stats.confirmed_leaks)
    };
    if json {
        output::json(&report)?;
    } else {
        io::stdout().write_all(report.text().as_bytes())?;
    }
    Ok(if arguments.fail && report.confirmed > 0 {
        FAILED.into()
    } else {
        ExitCode::SUCCESS
    })
}

/// Whether the kernel lists every client's leaks to this process.
fn sees_all() -> bool {
    let enough = CapabilitySet::PERFMON | CapabilitySet::SYS_ADMIN;
    capabilities(None).is_ok_and(|sets| sets.effective.intersects(enough))
}

impl Report {
    fn of_all(leaks: Vec<Leak>) -> Self {
        Self::of_some(leaks, 0, 0)
    }

    /// With the totals known to everybody, which a list that is a moment younger may exceed.
    fn of_some(leaks: Vec<Leak>, suspected: u64, confirmed: u64) -> Self {
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

    fn text(&self) -> String {
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
            "{} ({}): {}, {}\n",
            printable(&self.command),
            self.pid,
            plural(self.buffers.len() as u64, "buffer"),
            size(self.size)
        );
        let mut table = Table::new([
            "  Buffer", "Size", "In", "Domains", "Age", "State", "Client",
        ]);
        // Prose: aligned to the left, other than what a table has there.
        let mut reasons = vec!["Alive by".to_owned()];
        for Buffer { leak, .. } in &self.buffers {
            table.row([
                format!("  {}", leak.id),
                size(leak.size),
                leak.placement
                    .map_or_else(|| "-".to_owned(), |domain| domain.to_string()),
                leak.domains.to_string(),
                age(leak.age_ms),
                state(leak.state).to_owned(),
                leak.client.to_string(),
            ]);
            reasons.push(alive_by(leak));
        }
        for (line, reason) in table.lines().zip(reasons) {
            text += &format!("{line}  {reason}\n");
        }
        text
    }
}

/// Sorts leaks by the process that created them. Processes and their buffers come by size, the
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

fn state(state: LeakState) -> &'static str {
    match state {
        LeakState::Suspected => "suspected",
        LeakState::Confirmed => "confirmed",
    }
}

/// What keeps a buffer alive.
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
    if reasons.is_empty() {
        "orphaned".to_owned()
    } else {
        reasons.join(", ")
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
            ..leak(3, 2 << 20, 8)
        };
        let report = Report::of_all(vec![leak(1, 1 << 20, 7), orphan, kept]);
        let expected = "\
program 8 (8): 2 buffers, ~2.0 MiB
  Buffer   Size    In   Domains         Age      State  Client  Alive by
  3       2 MiB  VRAM  VRAM|GTT  5 min 12 s  confirmed       3  handles 1, mappings 2, exports 3, pins 4
  4       4 KiB     -  VRAM|GTT  5 min 12 s  suspected       3  orphaned

program 7 (7): 1 buffer, 1 MiB
  Buffer   Size    In   Domains         Age      State  Client  Alive by
  1       1 MiB  VRAM  VRAM|GTT  5 min 12 s  confirmed       3  handles 1

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
