// SPDX-License-Identifier: GPL-2.0

//! The statistics as tests look at them, and their settings in debugfs.

use std::{fs, path::PathBuf};

use anyhow::{ensure, Context, Result};
use pddgpu::{gem_list, Card, Create, Domain, Domains, Features, Leak, LeakState, MemoryStats};
use rustix::io::Errno;

use crate::support::patience::eventually;

/// A number in debugfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// ms between leak checks.
    Interval,
    /// ms until a buffer is suspected.
    SuspectedAfter,
    /// ms until a leak is confirmed.
    ConfirmedAfter,
    /// Percent of a heap.
    UsageLimit,
    /// Whether creations are traced.
    Traces,
}

impl Setting {
    pub const ALL: [Self; 5] = [
        Self::Interval,
        Self::SuspectedAfter,
        Self::ConfirmedAfter,
        Self::UsageLimit,
        Self::Traces,
    ];

    /// The file's name.
    pub fn file(self) -> &'static str {
        match self {
            Self::Interval => "pddgpu_leak_check_interval_ms",
            Self::SuspectedAfter => "pddgpu_leak_suspected_ms",
            Self::ConfirmedAfter => "pddgpu_leak_confirmed_ms",
            Self::UsageLimit => "pddgpu_usage_limit_percent",
            Self::Traces => "pddgpu_leak_traces",
        }
    }
}

/// A card's settings, which are what they were before when this is dropped.
pub struct Settings {
    folder: PathBuf,
    before: [u64; 5],
}

/// An age that no buffer of a test reaches, in ms.
const NEVER: u64 = 3_600_000;

impl Settings {
    pub fn of(card: &Card) -> Result<Self> {
        let mut settings = Self {
            folder: gem_list::debugfs_dir(card)?,
            before: [0; 5],
        };
        settings.before = settings.all()?;
        Ok(settings)
    }

    /// All of them, in the order of [`Setting::ALL`].
    pub fn all(&self) -> Result<[u64; 5]> {
        let mut all = [0; 5];
        for (value, setting) in all.iter_mut().zip(Setting::ALL) {
            let path = self.folder.join(setting.file());
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            *value = text.trim().parse()?;
        }
        Ok(all)
    }

    /// Writes any text.
    pub fn write(&self, setting: Setting, text: &str) -> Result<(), Errno> {
        fs::write(self.folder.join(setting.file()), text)
            .map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
    }

    pub fn set(&self, setting: Setting, value: u64) -> Result<()> {
        self.write(setting, &value.to_string())
            .with_context(|| format!("{setting:?} = {value}"))
    }

    /// Sets both ages; one must never be above the other.
    pub fn set_ages(&self, suspected: u64, confirmed: u64) -> Result<()> {
        self.set(Setting::SuspectedAfter, 0)?;
        self.set(Setting::ConfirmedAfter, confirmed)?;
        self.set(Setting::SuspectedAfter, suspected)
    }

    /// Stops the checks, and has all that is and will be alive be as old as `state` needs.
    pub fn prepare(&self, state: LeakState) -> Result<()> {
        self.set(Setting::Interval, 0)?;
        match state {
            LeakState::Suspected => self.set_ages(0, NEVER),
            LeakState::Confirmed => self.set_ages(0, 0),
        }
    }

    /// Has checks made from now on.
    pub fn check(&self) -> Result<()> {
        self.set(Setting::Interval, 1)
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        let [interval, suspected, confirmed, limit, traces] = self.before;
        // The files go when the card is unbound, and then there is nothing to restore.
        let _ = self.set_ages(suspected, confirmed);
        for (setting, value) in [
            (Setting::Interval, interval),
            (Setting::UsageLimit, limit),
            (Setting::Traces, traces),
        ] {
            let _ = self.set(setting, value);
        }
    }
}

/// Sets the statistics to 0.
pub fn reset(card: &Card) -> Result<()> {
    let path = gem_list::debugfs_dir(card)?.join("pddgpu_stats_reset");
    fs::write(&path, "1").with_context(|| path.display().to_string())
}

/// The statistics once nothing changes them any more. Two looks that are the same cannot be torn: whatever
/// happened during the first would show in the second.
pub fn quiet(card: &Card) -> Result<MemoryStats> {
    eventually(|| {
        let looks = [card.memory_stats()?, card.memory_stats()?];
        ensure!(looks[0] == looks[1], "still changing: {looks:?}");
        let [stats, _] = looks;
        Ok(stats)
    })
}

/// Waits until no buffer is alive. That is the last thing that is counted of a free.
pub fn await_none(card: &Card) -> Result<()> {
    eventually(|| {
        let stats = card.memory_stats()?;
        ensure!(stats.objects_live == 0, "some are alive: {stats:?}");
        Ok(())
    })
}

/// Reads a file of the card's folder in debugfs.
pub fn report(card: &Card, name: &str) -> Result<String> {
    let path = gem_list::debugfs_dir(card)?.join(name);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// Bytes in use: VRAM, the visible part of it, GTT, CPU.
pub fn live(stats: &MemoryStats) -> Result<[u64; 4]> {
    let live: Vec<_> = stats.heaps.iter().map(|heap| heap.live).collect();
    let kinds: Vec<_> = stats.heaps.iter().map(|h| (h.domain, h.visible)).collect();
    let wanted = [
        (Domain::Vram, false),
        (Domain::Vram, true),
        (Domain::Gtt, false),
        (Domain::Cpu, false),
    ];
    ensure!(kinds == wanted, "other heaps: {kinds:?}");
    live.try_into()
        .map_err(|live| anyhow::anyhow!("other heaps: {live:?}"))
}

/// How many moves there were from one domain to another, and of how many bytes.
pub fn moves(stats: &MemoryStats, from: Domain, to: Domain) -> (u64, u64) {
    let found = stats.moves.iter().find(|m| m.from == from && m.to == to);
    found.map_or((0, 0), |moves| (moves.count, moves.bytes))
}

/// How many creations failed so.
pub fn failures(stats: &MemoryStats, errno: Errno) -> u64 {
    let error = Some(errno.raw_os_error().unsigned_abs());
    let found = stats.failures.iter().find(|failure| failure.error == error);
    found.map_or(0, |failure| failure.count)
}

/// Checks what is true of the counters of each kind of operation at any quiet moment.
pub fn ensure_consistent(stats: &MemoryStats) -> Result<()> {
    for (name, times, average) in [
        ("alloc", &stats.alloc, stats.avg_alloc_time_ns),
        ("free", &stats.free, stats.avg_free_time_ns),
        ("move", &stats.moving, stats.avg_move_time_ns),
    ] {
        ensure!(
            times.histogram.count() == times.count,
            "{name}: {} in the histogram: {times:?}",
            times.histogram.count()
        );
        ensure!(
            average == times.avg_ns(),
            "{name}: {average} on average, but {times:?}"
        );
        ensure!(times.max_ns <= times.total_ns, "{name}: {times:?}");
        let slowest = times.histogram.0.iter().rposition(|&count| count > 0);
        let bucket = (times.count > 0).then(|| times.max_ns.max(1).ilog2() as usize);
        ensure!(
            slowest == bucket.map(|bucket| bucket.min(times.histogram.0.len() - 1)),
            "{name}: the longest is not in the last bucket that has any: {times:?}"
        );
    }
    let counts = [
        (stats.total_allocations, stats.alloc.count),
        (stats.total_deallocations, stats.free.count),
        (stats.total_moves, stats.moving.count),
        (
            stats.moves.iter().map(|m| m.count).sum(),
            stats.moving.count,
        ),
    ];
    ensure!(counts.iter().all(|(a, b)| a == b), "{counts:?}");
    ensure!(
        stats.evictions <= stats.total_moves,
        "{} evictions in {} moves",
        stats.evictions,
        stats.total_moves
    );
    for heap in &stats.heaps {
        ensure!(heap.peak >= heap.live, "{heap:?}");
    }
    Ok(())
}

/// Waits for a list of leaks.
pub fn await_leaks(card: &Card, wanted: impl Fn(&[Leak]) -> bool, what: &str) -> Result<Vec<Leak>> {
    eventually(|| {
        let leaks = card.leaks()?;
        ensure!(wanted(&leaks), "no {what}: {leaks:?}");
        Ok(leaks)
    })
}

/// The number by which the driver knows a client.
pub fn client_id(card: &Card) -> Result<u64> {
    let before = gem_list::read(card)?;
    let _mark = card.create(Create::new(4096, Domains::CPU))?;
    let after = gem_list::read(card)?;
    let buffers = |list: &[gem_list::Client], id| {
        let found = list.iter().find(|client| client.id == Some(id));
        found.map_or(0, |client| client.buffers.len())
    };
    after
        .iter()
        .filter_map(|client| client.id)
        .find(|&id| buffers(&after, id) > buffers(&before, id))
        .context("a new buffer is in nobody's list")
}

/// Waits until the driver has zeroed all VRAM that is free, which it does if the card has an engine.
pub fn await_zeroed(card: &Card) -> Result<()> {
    if !card.device()?.features.contains(Features::COPY) {
        return Ok(());
    }
    eventually(|| {
        let text = report(card, "pddgpu_vram_mm")?;
        let left: Vec<_> = ["free and not zero: ", "being zeroed: "]
            .iter()
            .flat_map(|start| text.lines().filter(move |line| line.starts_with(start)))
            .filter(|line| !line.ends_with(": 0"))
            .collect();
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
}

/// Withholds a range of VRAM from buffers until the card is bound anew.
pub fn vram_reserve(card: &Card, start: u64, size: u64) -> Result<()> {
    let path = gem_list::debugfs_dir(card)?.join("pddgpu_vram_reserve");
    fs::write(&path, format!("{start} {size}")).with_context(|| path.display().to_string())
}
