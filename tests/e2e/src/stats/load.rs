// SPDX-License-Identifier: GPL-2.0

//! The statistics while many use the card at once: nothing is counted twice or forgotten.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, ScopedJoinHandle},
};

use anyhow::{anyhow, ensure, Result};
use libtest_mimic::Trial;
use pddgpu::{Buffer, Card, Create, CreateFlags, Domain, LeakState, MemoryStats};

use crate::support::{
    fixture::{trials, Bench},
    kmsg::Log,
    patience::eventually,
    random::Random,
    stats::{await_leaks, await_none, ensure_consistent, live, moves, reset, Setting, Settings},
};

const THREADS: u64 = 4;

/// Operations of each thread: creations, moves and frees.
const OPERATIONS: usize = 10_000;

/// Buffers of one thread alive at once.
const AT_ONCE: usize = 16;

/// Bytes of each buffer.
const SIZE: u64 = 4096;

/// Bytes of each buffer that [`keep`] makes.
const KEPT: u64 = 5 * SIZE;

/// How often something is done while others use the card.
const TURNS: u64 = 200;

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        every_operation_is_counted_once,
        a_reset_under_load_leaves_what_is_alive,
        the_interval_changes_under_load,
        leaks_are_read_under_load,
    )
}

/// What one thread did.
#[derive(Default)]
struct Tally {
    created: u64,
    freed: u64,
    /// By the places in [`Domain::ALL`].
    moved: [[u64; 3]; 3],
    /// Buffers that took a place in VRAM, its visible part, GTT, CPU.
    taken: [u64; 4],
}

impl Tally {
    fn took(&mut self, domain: Domain, visible: bool) {
        match domain {
            Domain::Vram => {
                self.taken[0] += 1;
                self.taken[1] += u64::from(visible);
            }
            Domain::Gtt => self.taken[2] += 1,
            Domain::Cpu => self.taken[3] += 1,
        }
    }

    /// A move, and whether the CPU can reach the buffer afterwards; between VRAM and system memory it
    /// is two.
    fn moved(&mut self, from: Domain, to: Domain, visible: bool) {
        match (from, to) {
            (Domain::Vram, Domain::Cpu) | (Domain::Cpu, Domain::Vram) => {
                self.moved(from, Domain::Gtt, visible);
                self.moved(Domain::Gtt, to, visible);
            }
            _ if from == to => {}
            _ => {
                self.moved[from as usize][to as usize] += 1;
                self.took(to, visible);
            }
        }
    }

    fn add(mut self, other: Self) -> Self {
        self.created += other.created;
        self.freed += other.freed;
        let moved = self.moved.as_flattened_mut().iter_mut();
        let taken = self.taken.iter_mut();
        moved
            .chain(taken)
            .zip(other.moved.as_flattened().iter().chain(&other.taken))
            .for_each(|(sum, more)| *sum += more);
        self
    }
}

/// One thread's use of a card, as a client of its own.
struct Worker {
    card: Card,
    random: Random,
    buffers: Vec<(Buffer, Domain)>,
    tally: Tally,
}

impl Worker {
    fn new(bench: &Bench, seed: u64) -> Result<Self> {
        Ok(Self {
            card: Card::open(bench.card.path())?,
            random: Random::new(seed),
            buffers: Vec::new(),
            tally: Tally::default(),
        })
    }

    /// Creates, moves or frees a buffer.
    fn operate(&mut self) -> Result<()> {
        let count = self.buffers.len();
        match self.random.below(3) {
            0 if count < AT_ONCE => self.create(),
            1 if count > 0 => {
                let (buffer, _) = self.buffers.swap_remove(self.random.below(count));
                buffer.close()?;
                self.tally.freed += 1;
                Ok(())
            }
            _ if count > 0 => {
                let to = self.random.pick(&Domain::ALL);
                let at = self.random.below(count);
                let (buffer, domain) = &mut self.buffers[at];
                buffer.move_to(to)?;
                let visible = buffer.info()?.visible > 0;
                self.tally.moved(*domain, to, visible);
                *domain = to;
                Ok(())
            }
            _ => self.create(),
        }
    }

    fn create(&mut self) -> Result<()> {
        let domain = self.random.pick(&Domain::ALL);
        let flags = self
            .random
            .pick(&[CreateFlags::CPU_ACCESS_REQUIRED, CreateFlags::NO_CPU_ACCESS]);
        let create = Create::new(SIZE, domain.into()).flags(flags);
        let buffer = self.card.create(create)?;
        self.tally.created += 1;
        self.tally.took(domain, buffer.info()?.visible > 0);
        self.buffers.push((buffer, domain));
        Ok(())
    }

    /// Frees what is left.
    fn finish(mut self) -> Result<Tally> {
        for (buffer, _) in self.buffers.drain(..) {
            buffer.close()?;
            self.tally.freed += 1;
        }
        Ok(self.tally)
    }
}

fn join<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().map_err(|_| anyhow!("a worker panicked"))?
}

fn every_operation_is_counted_once(bench: &Bench) -> Result<()> {
    let before = bench.card.memory_stats()?;
    let workers: Vec<_> = (0..THREADS)
        .map(|seed| Worker::new(bench, seed))
        .collect::<Result<_>>()?;
    let tally = thread::scope(|scope| {
        let threads: Vec<_> = workers
            .into_iter()
            .map(|mut worker| {
                scope.spawn(move || {
                    for _ in 0..OPERATIONS {
                        worker.operate()?;
                    }
                    worker.finish()
                })
            })
            .collect();
        let mut sum = Tally::default();
        for thread in threads {
            sum = sum.add(join(thread)?);
        }
        anyhow::Ok(sum)
    })?;
    ensure!(tally.created == tally.freed, "the test cannot count");
    eventually(|| check_counts(&tally, &before, &bench.card.memory_stats()?))
}

fn check_counts(tally: &Tally, before: &MemoryStats, after: &MemoryStats) -> Result<()> {
    ensure_consistent(after)?;
    ensure!(
        after.objects_live == 0,
        "{} are still alive",
        after.objects_live
    );
    ensure!(live(after)? == [0; 4], "{:?}", after.heaps);
    let counted = [
        after.alloc.count - before.alloc.count,
        after.free.count - before.free.count,
        after.moving.count - before.moving.count,
    ];
    let moved = tally.moved.as_flattened().iter().sum();
    let wanted = [tally.created, tally.freed, moved];
    ensure!(
        counted == wanted,
        "created, freed, moved: {counted:?}, not {wanted:?}"
    );
    for from in Domain::ALL {
        for to in Domain::ALL {
            let (count, bytes) = moves(after, from, to);
            let (count_before, bytes_before) = moves(before, from, to);
            let counted = [count - count_before, bytes - bytes_before];
            let moved = tally.moved[from as usize][to as usize];
            ensure!(
                counted == [moved, moved * SIZE],
                "{from} to {to}: {counted:?}, not {moved}"
            );
        }
    }
    for (heap, taken) in tally.taken.into_iter().enumerate() {
        let (before, after) = (&before.heaps[heap], &after.heaps[heap]);
        let counted = [
            after.allocated - before.allocated,
            after.freed - before.freed,
        ];
        ensure!(
            counted == [taken * SIZE; 2],
            "heap {heap}: {counted:?}, not {taken} pages"
        );
    }
    ensure!(after.evictions == before.evictions, "nothing was short");
    ensure!(after.failures == before.failures, "nothing failed");
    Ok(())
}

/// Has the threads use the card as long as `run` takes.
fn under_load(bench: &Bench, run: impl FnOnce() -> Result<()>) -> Result<()> {
    let workers: Vec<_> = (0..THREADS)
        .map(|seed| Worker::new(bench, 100 + seed))
        .collect::<Result<_>>()?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads: Vec<_> = workers
            .into_iter()
            .map(|mut worker| {
                let done = &done;
                scope.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        worker.operate()?;
                    }
                    worker.finish()
                })
            })
            .collect();
        let result = run();
        done.store(true, Ordering::Relaxed);
        for thread in threads {
            join(thread)?;
        }
        result
    })
}

/// Checks that counting goes on from exactly what [`keep`] made. A counter that fell below 0 would be told
/// as 0, until something is added to it.
fn ensure_nothing_lost(bench: &Bench, kept: Vec<Buffer>) -> Result<()> {
    let card = &bench.card;
    eventually(|| {
        let stats = card.memory_stats()?;
        ensure!(
            stats.objects_live == kept.len() as u64,
            "{} of {} are alive",
            stats.objects_live,
            kept.len()
        );
        let live = live(&stats)?;
        ensure!(live == [KEPT; 4], "{live:?}, not {KEPT} bytes in each heap");
        Ok(())
    })?;
    drop(kept);
    await_none(card)?;
    let live_now = live(&card.memory_stats()?)?;
    ensure!(live_now == [0; 4], "all freed, but {live_now:?}");
    let again = keep(bench)?;
    let stats = card.memory_stats()?;
    ensure!(live(&stats)? == [KEPT; 4], "{stats:?}, not {KEPT} bytes");
    ensure!(stats.objects_live == again.len() as u64, "{stats:?}");
    drop(again);
    await_none(card)
}

/// Creates a buffer in each domain.
fn keep(bench: &Bench) -> Result<Vec<Buffer>> {
    let mut kept = Vec::new();
    for domain in Domain::ALL {
        let create = Create::new(KEPT, domain.into()).flags(CreateFlags::CPU_ACCESS_REQUIRED);
        kept.push(bench.card.create(create)?);
    }
    Ok(kept)
}

fn a_reset_under_load_leaves_what_is_alive(bench: &Bench) -> Result<()> {
    let kept = keep(bench)?;
    under_load(bench, || {
        for _ in 0..TURNS {
            reset(&bench.card)?;
            let stats = bench.card.memory_stats()?;
            let alive = live(&stats)?;
            ensure!(
                stats.objects_live >= kept.len() as u64 && alive.iter().all(|&bytes| bytes >= KEPT),
                "too few: {stats:?}"
            );
            // What was freed is alive until the card is done with it.
            eventually(|| {
                let stats = bench.card.memory_stats()?;
                let few = kept.len() as u64 + THREADS * (AT_ONCE as u64 + 1);
                ensure!(stats.objects_live <= few, "too many: {stats:?}");
                // A buffer that is moving is in two places.
                let most = KEPT + THREADS * (AT_ONCE as u64 + 2) * SIZE;
                ensure!(
                    live(&stats)?.iter().all(|&bytes| bytes <= most),
                    "too much: {stats:?}"
                );
                Ok(())
            })?;
        }
        Ok(())
    })?;
    ensure_nothing_lost(bench, kept)?;

    reset(&bench.card)?;
    let buffer = bench.card.create(Create::new(SIZE, Domain::Cpu.into()))?;
    let stats = bench.card.memory_stats()?;
    ensure_consistent(&stats)?;
    ensure!(
        stats.alloc.count == 1 && stats.free.count == 0 && stats.moves.is_empty(),
        "{stats:?}"
    );
    ensure!(
        stats.heaps[3].allocated == SIZE && stats.heaps[3].peak == SIZE,
        "{stats:?}"
    );
    buffer.close()?;
    Ok(())
}

fn the_interval_changes_under_load(bench: &Bench) -> Result<()> {
    let settings = Settings::of(&bench.card)?;
    settings.prepare(LeakState::Suspected)?;
    let kept = keep(bench)?;
    let mut random = Random::new(3);
    under_load(bench, || {
        for _ in 0..TURNS {
            settings.set(Setting::Interval, random.pick(&[0, 1, 2, 10, 1_000_000]))?;
        }
        Ok(())
    })?;
    settings.check()?;
    let leaks = await_leaks(&bench.card, |leaks| leaks.len() == 3, "three leaks")?;
    ensure!(leaks.iter().all(|leak| leak.size == KEPT), "{leaks:?}");
    settings.set(Setting::Interval, 0)?;
    ensure_nothing_lost(bench, kept)
}

/// The list is read while checks change it and buffers come and go.
fn leaks_are_read_under_load(bench: &Bench) -> Result<()> {
    let card = &bench.card;
    let settings = Settings::of(card)?;
    let mut log = Log::from_now()?;
    settings.prepare(LeakState::Suspected)?;
    let kept = keep(bench)?;
    settings.check()?;
    await_leaks(card, |leaks| leaks.len() == 3, "three leaks")?;
    under_load(bench, || {
        for _ in 0..TURNS {
            let leaks = card.leaks()?;
            let mut ids: Vec<_> = leaks.iter().map(|leak| leak.id).collect();
            let own = leaks.iter().filter(|leak| leak.size == KEPT).count();
            ensure!(own == 3, "lost some of those that stay: {leaks:?}");
            ids.sort_unstable();
            ids.dedup();
            ensure!(ids.len() == leaks.len(), "one twice: {leaks:?}");
        }
        Ok(())
    })?;
    settings.set(Setting::Interval, 0)?;
    let confirmed = log
        .take()?
        .into_iter()
        .filter(|m| m.text.contains("leak confirmed"));
    ensure!(confirmed.count() == 0, "none was old enough");
    ensure_nothing_lost(bench, kept)
}
