// SPDX-License-Identifier: GPL-2.0

//! The warning that a heap is nearly full: once per crossing of the limit.

use anyhow::{ensure, Result};
use libtest_mimic::Trial;
use pddgpu::{Buffer, Create, CreateFlags, Domain};

use crate::support::{
    fixture::{skip, trials, Bench},
    kmsg::Log,
    patience::eventually,
    placement::wipe,
    stats::{Setting, Settings},
};

/// What the warnings have in common.
const WARNING: &str = "is nearly full: ";

/// Percent below the limit at which the next crossing counts.
const HYSTERESIS: usize = 5;

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        warns_once_per_crossing,
        each_heap_has_its_own,
        warns_at_ninety_percent,
        a_limit_of_a_hundred_never_warns,
    )
}

/// Bytes of one percent of a heap, in whole pages.
fn percent(bench: &Bench, domain: Domain) -> Result<u64> {
    Ok(bench.heap(domain)?.total / 100 / 4096 * 4096)
}

/// Buffers of one percent of a heap each.
struct Filling<'a> {
    bench: &'a Bench,
    domain: Domain,
    /// Bytes of the heap that are in use without them.
    others: u64,
    create: Create,
    buffers: Vec<Buffer>,
}

impl<'a> Filling<'a> {
    fn new(bench: &'a Bench, domain: Domain) -> Result<Self> {
        let create = Create::new(percent(bench, domain)?, domain.into());
        Ok(Self {
            bench,
            domain,
            others: bench.heap(domain)?.used,
            create: create.flags(CreateFlags::NO_CPU_ACCESS),
            buffers: Vec::new(),
        })
    }

    /// Has `count` percent in use.
    fn to(&mut self, count: usize) -> Result<()> {
        self.buffers.truncate(count);
        // What was freed is in use until nobody uses it any more.
        eventually(|| {
            let used = self.bench.heap(self.domain)?.used - self.others;
            let wanted = self.buffers.len() as u64 * self.create.size;
            ensure!(used == wanted, "{used} bytes in use, not {wanted}");
            Ok(())
        })?;
        while self.buffers.len() < count {
            self.buffers.push(self.bench.card.create(self.create)?);
        }
        Ok(())
    }
}

/// A sign that all warnings so far have been said: another one that cannot be missed. The same work
/// says all that wait.
fn flush(bench: &Bench, log: &mut Log) -> Result<Vec<String>> {
    let mut gtt = Filling::new(bench, Domain::Gtt)?;
    gtt.to(LIMIT + 1)?;
    let mut lines = Vec::new();
    while !lines
        .iter()
        .any(|line: &String| line.contains("GTT is nearly full"))
    {
        lines.extend(log.wait_for(WARNING, 1)?);
    }
    lines.retain(|line| !line.contains("GTT is nearly full"));
    Ok(lines)
}

/// The limit that tests set, in percent.
const LIMIT: usize = 10;

fn warns_once_per_crossing(bench: &Bench) -> Result<()> {
    // So that nothing of what is filled is in the CPU's reach, which has a limit of its own.
    wipe(bench)?;
    let settings = Settings::of(&bench.card)?;
    settings.set(Setting::UsageLimit, LIMIT as u64)?;
    let mut log = Log::from_now()?;
    let all_visible = bench.device.visible_size == bench.device.vram_size;
    let mut vram = Filling::new(bench, Domain::Vram)?;
    let mut expect = |count: usize, what: &str| {
        let mut lines = flush(bench, &mut log)?;
        // A card that is visible as a whole has two names for it.
        lines.retain(|line| !all_visible || !line.contains(" visible VRAM is nearly full"));
        let right = lines
            .iter()
            .all(|line| line.contains(" VRAM is nearly full"));
        ensure!(
            lines.len() == count && right,
            "{what}: not {count} warnings: {lines:?}"
        );
        Ok(lines)
    };
    vram.to(LIMIT)?;
    expect(0, "at the limit")?;
    vram.to(LIMIT + 1)?;
    let lines = expect(1, "above the limit")?;
    let wanted = format!("of {} bytes, ", bench.heap(Domain::Vram)?.total);
    ensure!(lines[0].contains(&wanted), "no '{wanted}': {lines:?}");
    ensure!(
        lines[0].ends_with(", suspected leaks: 0, confirmed: 0"),
        "{lines:?}"
    );
    vram.to(LIMIT + 4)?;
    expect(0, "further above")?;
    for _ in 0..3 {
        vram.to(LIMIT - HYSTERESIS + 1)?;
        vram.to(LIMIT + 2)?;
        expect(0, "a little below, and above again")?;
    }
    for _ in 0..3 {
        vram.to(LIMIT - HYSTERESIS)?;
        expect(0, "below")?;
        vram.to(LIMIT + 1)?;
        expect(1, "above again")?;
    }
    Ok(())
}

fn each_heap_has_its_own(bench: &Bench) -> Result<()> {
    let settings = Settings::of(&bench.card)?;
    settings.set(Setting::UsageLimit, LIMIT as u64)?;
    let mut log = Log::from_now()?;
    let visible = bench.device.visible_size / 100 * 11 / 4096 * 4096;
    if visible * 100 / 10 > bench.device.vram_size {
        return skip("all of this card's VRAM is visible");
    }
    let create = Create::new(visible, Domain::Vram.into()).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let _buffer = bench.card.create(create)?;
    let lines = log.wait_for(WARNING, 1)?;
    ensure!(
        lines.len() == 1 && lines[0].contains("visible VRAM is nearly full"),
        "{lines:?}"
    );
    let wanted = format!(
        "{visible} of {} bytes, buffers: 1",
        bench.device.visible_size
    );
    ensure!(lines[0].contains(&wanted), "no '{wanted}': {lines:?}");
    let lines = flush(bench, &mut log)?;
    ensure!(lines.is_empty(), "{lines:?}");
    Ok(())
}

fn warns_at_ninety_percent(bench: &Bench) -> Result<()> {
    let heap = bench.heap(Domain::Gtt)?;
    if heap.usable < heap.total / 100 * 91 {
        return skip("the driver keeps more than that of this card's GTT for itself");
    }
    if heap.usable > 192 << 20 {
        return skip("this card's GTT is too large for the VM's memory");
    }
    let mut log = Log::from_now()?;
    let mut gtt = Filling::new(bench, Domain::Gtt)?;
    gtt.to(90)?;
    let settings = Settings::of(&bench.card)?;
    ensure!(settings.all()?[3] == 90, "another test's limit");
    gtt.to(91)?;
    let lines = log.wait_for(WARNING, 1)?;
    // An earlier warning would tell of fewer buffers, and there would be none now.
    ensure!(
        lines.len() == 1
            && lines[0].contains("GTT is nearly full")
            && lines[0].contains("buffers: 91,"),
        "{lines:?}"
    );
    Ok(())
}

fn a_limit_of_a_hundred_never_warns(bench: &Bench) -> Result<()> {
    let settings = Settings::of(&bench.card)?;
    settings.set(Setting::UsageLimit, 100)?;
    let mut log = Log::from_now()?;
    let empty = bench.heap(Domain::Vram)?;
    let all = (empty.visible_total - empty.visible_used).min(empty.usable);
    let create = Create::new(all, Domain::Vram.into());
    let buffer = bench
        .card
        .create(create.flags(CreateFlags::CPU_ACCESS_REQUIRED))?;
    buffer.close()?;
    bench.await_heap(&empty)?;
    settings.set(Setting::UsageLimit, LIMIT as u64)?;
    let lines = flush(bench, &mut log)?;
    ensure!(lines.is_empty(), "{lines:?}");
    Ok(())
}
