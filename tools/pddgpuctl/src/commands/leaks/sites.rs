// SPDX-License-Identifier: GPL-2.0

//! Leaks by the place in the kernel's code that created them, and how fast they become more.

use std::{cmp::Reverse, collections::BTreeMap};

use pddgpu::leak_traces::TracedLeak;
use serde::Serialize;

use crate::output::{
    text::plural,
    units::{age, size},
};

/// A minute in ms.
const MINUTE: u64 = 60_000;

/// The leaks that were created at one place.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Site {
    pub count: u64,
    pub bytes: u64,
    pub oldest_ms: u64,
    pub youngest_ms: u64,
    /// How many became leaks a minute between the oldest and the youngest. `None` for a single one.
    pub count_per_minute: Option<u64>,
    /// Bytes a minute in that time.
    pub bytes_per_minute: Option<u64>,
    /// Functions of the kernel, the innermost first.
    pub stack: Vec<String>,
}

/// The places, those with the most bytes first.
pub fn sites(leaks: Vec<TracedLeak>) -> Vec<Site> {
    let mut by_stack: BTreeMap<Vec<String>, Vec<(u64, u64)>> = BTreeMap::new();
    for leak in leaks {
        let site = by_stack.entry(leak.stack).or_default();
        site.push((leak.age_ms, leak.size));
    }
    let mut sites: Vec<_> = by_stack
        .into_iter()
        .map(|(stack, leaks)| site(stack, &leaks))
        .collect();
    sites.sort_by_key(|site| Reverse(site.bytes));
    sites
}

fn site(stack: Vec<String>, leaks: &[(u64, u64)]) -> Site {
    let ages = || leaks.iter().map(|(age, _)| *age);
    let (oldest, youngest) = (ages().max().unwrap_or(0), ages().min().unwrap_or(0));
    let (count, bytes) = (leaks.len() as u64, leaks.iter().map(|(_, size)| size).sum());
    let first: u64 = leaks
        .iter()
        .find(|(age, _)| *age == oldest)
        .map_or(0, |(_, size)| *size);
    // What came after the first, over the time in which it came.
    let rate = |more: u64| (count > 1).then(|| more * MINUTE / (oldest - youngest).max(1));
    Site {
        count,
        bytes,
        oldest_ms: oldest,
        youngest_ms: youngest,
        count_per_minute: rate(count - 1),
        bytes_per_minute: rate(bytes - first),
        stack,
    }
}

/// The places as text.
pub fn text(sites: &[Site]) -> String {
    if sites.is_empty() {
        return "No leaks.\n".to_owned();
    }
    let mut text = String::new();
    for site in sites {
        text += &format!(
            "{}, {}, the oldest {}, the youngest {}\n",
            plural(site.count, "buffer"),
            size(site.bytes),
            age(site.oldest_ms),
            age(site.youngest_ms)
        );
        if let (Some(count), Some(bytes)) = (site.count_per_minute, site.bytes_per_minute) {
            text += &format!("  {count} a minute, {} a minute\n", size(bytes));
        }
        for function in &site.stack {
            text += &format!("    {function}\n");
        }
        if site.stack.is_empty() {
            text += "    no stack trace was saved; pddgpu_leak_traces in debugfs turns that on\n";
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use pddgpu::LeakState;

    use super::*;

    fn leak(age_ms: u64, size: u64, stack: &[&str]) -> TracedLeak {
        TracedLeak {
            id: 1,
            size,
            age_ms,
            state: LeakState::Suspected,
            stack: stack.iter().map(|&function| function.to_owned()).collect(),
        }
    }

    #[test]
    fn leaks_of_one_place_are_added_up_with_their_growth() {
        let sites = sites(vec![
            leak(120_000, 4096, &["a", "b"]),
            leak(60_000, 8192, &["a", "b"]),
            leak(0, 8192, &["a", "b"]),
            leak(5000, 1 << 20, &[]),
        ]);
        assert_eq!(sites.len(), 2);
        assert_eq!((sites[0].count, sites[0].count_per_minute), (1, None));
        assert_eq!((sites[1].count, sites[1].bytes), (3, 20480));
        assert_eq!(sites[1].count_per_minute, Some(1));
        assert_eq!(sites[1].bytes_per_minute, Some(8192));
        let expected = "\
1 buffer, 1 MiB, the oldest 5 s, the youngest 5 s
    no stack trace was saved; pddgpu_leak_traces in debugfs turns that on

3 buffers, 20 KiB, the oldest 2 min 0 s, the youngest 0 s
  1 a minute, 8 KiB a minute
    a
    b

";
        assert_eq!(text(&sites), expected);
        assert_eq!(text(&[]), "No leaks.\n");
    }

    #[test]
    fn leaks_of_one_moment_divide_by_nothing() {
        let sites = sites(vec![leak(7, 1, &["a"]), leak(7, 1, &["a"])]);
        assert_eq!(sites[0].count_per_minute, Some(MINUTE));
    }
}
