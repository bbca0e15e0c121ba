// SPDX-License-Identifier: GPL-2.0

//! Reports about thousands of buffers: they are generated as they are read, at a cost that is in
//! proportion, and nobody waits for their reader.
//!
//! Times are compared with times of the same run, never with a number of seconds.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::Read,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{gem_list, Buffer, Card, Create, Domain, Domains, LeakState};

use crate::support::{
    child::{Child, Part},
    fixture::{trials, Bench},
    patience::eventually,
    stats::{client_id, Settings},
};

/// Buffers whose report is longer than a page, and than several.
const SOME: usize = 300;

/// Buffers whose reports take a while.
const MANY: usize = 6000;

/// The reports with a line for each buffer.
const REPORTS: [&str; 3] = ["pddgpu_gem_info", "pddgpu_leaks", "pddgpu_gtt_mm"];

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        what_is_freed_before_the_reader_comes_there_is_not_listed,
        a_client_that_leaves_ends_its_part_of_the_list,
        a_report_begins_anew_where_the_reader_goes_back_to,
        the_cost_is_in_proportion,
        a_reader_dies_at_once,
        nobody_waits_for_a_reader,
    )
}

/// Buffers that are suspected leaks, too.
struct Buffers<'a> {
    card: &'a Card,
    settings: Settings,
    all: Vec<Buffer>,
}

impl<'a> Buffers<'a> {
    fn new(card: &'a Card, count: usize) -> Result<Self> {
        let settings = Settings::of(card)?;
        settings.prepare(LeakState::Suspected)?;
        settings.check()?;
        let mut buffers = Self {
            card,
            settings,
            all: Vec::new(),
        };
        buffers.grow(count)?;
        Ok(buffers)
    }

    /// Creates buffers until there are so many.
    fn grow(&mut self, count: usize) -> Result<()> {
        while self.all.len() < count {
            self.all
                .push(self.card.create(Create::new(4096, Domains::GTT))?);
        }
        self.settings.check()?;
        eventually(|| {
            let stats = self.card.memory_stats()?;
            ensure!(stats.suspected_leaks == count as u64, "{stats:?}");
            Ok(())
        })
    }
}

fn path(card: &Card, report: &str) -> Result<PathBuf> {
    Ok(gem_list::debugfs_dir(card)?.join(report))
}

/// How long it takes to read a report.
fn time_to_read(card: &Card, report: &str) -> Result<Duration> {
    let path = path(card, report)?;
    let start = Instant::now();
    fs::read(&path)?;
    Ok(start.elapsed())
}

/// The handle, number or addresses in each line of `text` that is one of a buffer, and how often
/// they are there.
fn first_words(text: &str) -> HashMap<&str, usize> {
    let mut words = HashMap::new();
    for line in text.lines() {
        let is_row = line.starts_with(' ') || line.ends_with(": used");
        let first = line.split_whitespace().next().filter(|_| is_row);
        if let Some(word) = first.filter(|word| word.starts_with(|c: char| c.is_ascii_digit())) {
            *words.entry(word).or_default() += 1;
        }
    }
    words
}

/// What is there all the time is listed once.
fn what_is_freed_before_the_reader_comes_there_is_not_listed(bench: &Bench) -> Result<()> {
    for report in REPORTS {
        let mut buffers = Buffers::new(&bench.card, SOME)?;
        let mut file = File::open(path(&bench.card, report)?)?;
        let before = fs::read_to_string(path(&bench.card, report)?)?;
        let mut text = vec![0; 4096];
        let length = file.read(&mut text)?;
        ensure!(length > 0, "{report}: no text");
        text.truncate(length);

        // Half of them goes, the other half has not been read yet, either.
        let gone = buffers.all.split_off(SOME / 2);
        let kept = buffers.all.len();
        drop(gone);
        file.read_to_end(&mut text)?;
        let text = String::from_utf8(text)?;
        let (before, after) = (first_words(&before), first_words(&text));
        ensure!(
            before.len() == SOME,
            "{report}: {} of {SOME} listed before",
            before.len()
        );
        ensure!(
            after.values().all(|&times| times == 1),
            "{report}: some are listed twice: {after:?}"
        );
        ensure!(
            after.len() == kept,
            "{report}: {} of {kept} listed",
            after.len()
        );
        ensure!(
            after.keys().all(|word| before.contains_key(word)),
            "{report}: others are listed: {after:?}"
        );
    }
    Ok(())
}

fn a_client_that_leaves_ends_its_part_of_the_list(bench: &Bench) -> Result<()> {
    let _own = bench.card.create(Create::new(12288, Domains::CPU))?;
    let own_id = client_id(&bench.card)?;
    let other = Card::open(bench.card.path())?;
    let mut theirs = Vec::new();
    for _ in 0..SOME {
        theirs.push(other.create(Create::new(4096, Domains::CPU))?);
    }
    let other_id = client_id(&other)?;
    ensure!(other_id > own_id, "{other_id} was opened after {own_id}");

    let mut file = File::open(path(&bench.card, "pddgpu_gem_info")?)?;
    let mut text = vec![0; 4096];
    let length = file.read(&mut text)?;
    text.truncate(length);
    drop(theirs);
    drop(other);
    file.read_to_end(&mut text)?;
    let clients = gem_list::parse(std::str::from_utf8(&text)?)?;
    let buffers = |id| {
        let found = clients.iter().find(|client| client.id == Some(id));
        found.map(|client| client.buffers.len())
    };
    let theirs = buffers(other_id).context("the other client came first")?;
    ensure!(theirs > 0 && theirs < SOME, "{theirs} of {SOME}");
    ensure!(buffers(own_id) == Some(1), "{clients:?}");
    Ok(())
}

fn a_report_begins_anew_where_the_reader_goes_back_to(bench: &Bench) -> Result<()> {
    use std::os::unix::fs::FileExt;
    let _buffers = Buffers::new(&bench.card, SOME)?;
    // The ages in `pddgpu_leaks` differ from one time to the next.
    for report in ["pddgpu_gem_info", "pddgpu_gtt_mm"] {
        let whole = fs::read(path(&bench.card, report)?)?;
        let file = File::open(path(&bench.card, report)?)?;
        for offset in [0, 1, 4095, 4096, 9000, whole.len() - 1, 5000, 0] {
            let mut part = [0; 100];
            let length = file.read_at(&mut part, offset as u64)?;
            ensure!(
                length > 0 && part[..length] == whole[offset..offset + length],
                "{report} at {offset}: {:?}",
                String::from_utf8_lossy(&part)
            );
        }
        ensure!(
            file.read_at(&mut [0; 100], whole.len() as u64)? == 0,
            "{report} goes on behind its end"
        );
    }
    Ok(())
}

/// Four times as many must not take much more than four times as long.
fn the_cost_is_in_proportion(bench: &Bench) -> Result<()> {
    let mut buffers = Buffers::new(&bench.card, MANY / 4)?;
    let mut few = HashMap::new();
    for report in REPORTS {
        few.insert(report, time_to_read(&bench.card, report)?);
    }
    buffers.grow(MANY)?;
    for report in REPORTS {
        let (few, many) = (few[report], time_to_read(&bench.card, report)?);
        ensure!(
            many < few * 4 * 3,
            "{report}: {few:?} for a quarter, {many:?} for all"
        );
    }
    Ok(())
}

/// Starts a child that reads a report over and over.
fn start_reader(bench: &Bench, report: &str) -> Result<Child> {
    let mut child = Child::start(Part::ReadReport, bench.card.path(), None)?;
    child.tell(report)?;
    child.listen()?;
    Ok(child)
}

/// Long before it could have read the whole report.
fn a_reader_dies_at_once(bench: &Bench) -> Result<()> {
    let _buffers = Buffers::new(&bench.card, MANY)?;
    for report in REPORTS {
        let whole = time_to_read(&bench.card, report)?;
        let mut times = Vec::new();
        for _ in 0..4 {
            let child = start_reader(bench, report)?;
            let start = Instant::now();
            child.kill()?;
            times.push(start.elapsed());
        }
        // The machine may be busy with other things now and then.
        let best = times.iter().min().context("four tries")?;
        ensure!(
            *best < whole / 4,
            "{report}: {times:?} until the reader was dead, {whole:?} for the whole report"
        );
    }
    Ok(())
}

fn nobody_waits_for_a_reader(bench: &Bench) -> Result<()> {
    let _buffers = Buffers::new(&bench.card, MANY)?;
    for report in REPORTS {
        let whole = time_to_read(&bench.card, report)?;
        let child = start_reader(bench, report)?;
        let mut times = Vec::new();
        let begin = Instant::now();
        // As long as several readings take, so that some of the time they would be in the way.
        while begin.elapsed() < whole * 3 {
            let start = Instant::now();
            let other = Card::open(bench.card.path())?;
            other
                .create(Create::new(4096, Domain::Cpu.into()))?
                .close()?;
            drop(other);
            times.push(start.elapsed());
        }
        child.kill()?;
        times.sort_unstable();
        let slow = times[times.len() * 9 / 10];
        ensure!(
            slow < whole / 4 && times.len() > 10,
            "{report}: others took {slow:?}, {whole:?} for the whole report: {times:?}"
        );
    }
    Ok(())
}
