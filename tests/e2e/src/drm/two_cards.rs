// SPDX-License-Identifier: GPL-2.0

//! A buffer of one card that another card uses: that one is told when the buffer moves, so the buffer
//! is not pinned.

use std::{os::fd::AsFd, sync::mpsc, thread};

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{
    raw, virtual_card::pages::pattern, Buffer, Card, Create, CreateFlags, Deadline, Domain, Domains,
};
use rustix::{
    event::{poll, PollFd, PollFlags, Timespec},
    io::Errno,
};

use crate::support::{
    compare::ensure_holds,
    driver::Driver,
    engine::{finish, join},
    fixture::{trials, Bench},
    marked::Marked,
    meminfo::{drop_caches, meminfo, Swap},
    patience::await_fence_wait,
    prime::{export, Imported},
    second::Second,
    sync_file, vgem,
};

pub fn tests() -> Vec<Trial> {
    let mut tests = trials!(card_trial:
        one_reads_and_writes_vram_of_the_other,
        what_the_other_has_mapped_moves_freely,
        what_the_other_has_mapped_is_evicted,
        jobs_of_both_come_one_after_the_other,
        work_of_one_is_a_sync_file_for_others,
        what_the_other_has_mapped_keeps_nothing_else_from_swap,
        a_copy_that_waits_for_the_owner_keeps_nobody_from_a_handle,
        all_go_on_while_memory_is_short,
    );
    tests.extend(trials!(driver_trial:
        the_owner_goes_first,
        the_user_goes_first,
    ));
    tests
}

const SIZE: u64 = 1 << 20;

fn buffer(card: &Card, domain: Domain, seed: u64) -> Result<(Buffer, Vec<u8>)> {
    let create = Create::new(SIZE, domain.into()).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let buffer = card.create(create)?;
    let content = pattern(seed, SIZE as usize);
    buffer.map()?.write(0, &content);
    Ok((buffer, content))
}

/// Has a card copy all of a buffer to another one, and does not wait.
fn start_copy(card: &Card, src: u32, dst: u32) -> Result<(), Errno> {
    card.raw().gem_copy(raw::drm_pddgpu_gem_copy {
        src,
        dst,
        size: SIZE,
        ..Default::default()
    })
}

fn wait(card: &Card, handle: u32) -> Result<()> {
    card.raw().gem_wait(raw::drm_pddgpu_gem_wait {
        handle,
        timeout_ns: Deadline::NEVER.as_nanos(),
        ..Default::default()
    })?;
    Ok(())
}

/// A buffer of one card, and what the other card needs to read it.
struct Shared {
    owned: Buffer,
    other: Card,
    imported: Imported,
    /// Where the other card copies it to.
    copy: Buffer,
    _second: Second,
}

impl Shared {
    fn new(card: &Card, domain: Domain) -> Result<(Self, Vec<u8>)> {
        let second = Second::bind()?;
        let other = second.open()?;
        let (owned, content) = buffer(card, domain, 1)?;
        let shared = Self {
            imported: Imported::new(&other, export(&owned)?)?,
            copy: buffer(&other, Domain::Vram, 2)?.0,
            other,
            owned,
            _second: second,
        };
        Ok((shared, content))
    }

    /// Has the other card read it.
    fn read(&self) -> Result<()> {
        start_copy(&self.other, self.imported.handle, self.copy.handle())?;
        Ok(())
    }

    fn ensure_reads(&self, content: &[u8], what: &str) -> Result<()> {
        self.read()?;
        finish(&self.copy)?;
        ensure_holds(&self.copy.map()?, content, what)
    }
}

fn one_reads_and_writes_vram_of_the_other(bench: &Bench) -> Result<()> {
    for domain in Domain::ALL {
        let (shared, content) = Shared::new(&bench.card, domain)?;
        shared.ensure_reads(&content, &format!("what was in {domain}"))?;
        let (written, content) = buffer(&shared.other, Domain::Vram, 3)?;
        start_copy(&shared.other, written.handle(), shared.imported.handle)?;
        wait(&shared.other, shared.imported.handle)?;
        ensure_holds(&shared.owned.map()?, &content, "what the other wrote")?;
    }
    Ok(())
}

fn what_the_other_has_mapped_moves_freely(bench: &Bench) -> Result<()> {
    let (shared, content) = Shared::new(&bench.card, Domain::Vram)?;
    for round in 0..4 {
        shared.read()?;
        let info = shared.owned.info()?;
        ensure!(info.placement != Domain::Vram, "out of reach: {info:?}");
        for domain in [Domain::Gtt, Domain::Vram] {
            shared.owned.move_to(domain)?;
            let info = shared.owned.info()?;
            ensure!(info.placement == domain, "{round}: {info:?}");
        }
        finish(&shared.copy)?;
        ensure_holds(&shared.copy.map()?, &content, "the copy")?;
        ensure_holds(&shared.owned.map()?, &content, "what was moved")?;
    }
    Ok(())
}

fn what_the_other_has_mapped_is_evicted(bench: &Bench) -> Result<()> {
    let (shared, content) = Shared::new(&bench.card, Domain::Vram)?;
    shared.ensure_reads(&content, "what was in VRAM")?;
    shared.owned.move_to(Domain::Gtt)?;
    let used = bench.heap(Domain::Gtt)?;
    // All of GTT, while the other card has the pages mapped that are there.
    let size = used.usable / 8 / 4096 * 4096;
    let mut hogs = Vec::new();
    for number in 0..9 {
        let create = Create::new(size, Domains::GTT);
        hogs.push(
            bench
                .card
                .create(create)
                .with_context(|| format!("buffer {number}"))?,
        );
    }
    let info = shared.owned.info()?;
    ensure!(info.placement == Domain::Cpu, "not evicted: {info:?}");
    shared.ensure_reads(&content, "what was evicted")
}

/// Each card writes what the other one has just written, and nobody waits in between.
fn jobs_of_both_come_one_after_the_other(bench: &Bench) -> Result<()> {
    let (shared, _) = Shared::new(&bench.card, Domain::Gtt)?;
    let mine: Vec<_> = (0..4)
        .map(|n| buffer(&bench.card, Domain::Vram, 10 + n))
        .collect::<Result<_>>()?;
    let theirs: Vec<_> = (0..4)
        .map(|n| buffer(&shared.other, Domain::Vram, 20 + n))
        .collect::<Result<_>>()?;
    let (seen_by_me, _) = buffer(&bench.card, Domain::Vram, 30)?;
    for ((mine, written_by_me), (theirs, written_by_them)) in mine.iter().zip(&theirs) {
        start_copy(&bench.card, mine.handle(), shared.owned.handle())?;
        shared.read()?;
        start_copy(&shared.other, theirs.handle(), shared.imported.handle)?;
        start_copy(&bench.card, shared.owned.handle(), seen_by_me.handle())?;
        finish(&shared.copy)?;
        ensure_holds(&shared.copy.map()?, written_by_me, "what the owner wrote")?;
        finish(&seen_by_me)?;
        ensure_holds(&seen_by_me.map()?, written_by_them, "what the other wrote")?;
    }
    Ok(())
}

fn work_of_one_is_a_sync_file_for_others(bench: &Bench) -> Result<()> {
    let (shared, _) = Shared::new(&bench.card, Domain::Gtt)?;
    let (source, content) = buffer(&shared.other, Domain::Vram, 40)?;
    start_copy(&shared.other, source.handle(), shared.imported.handle)?;
    let fence = sync_file::of(export(&shared.owned)?)?;
    // It can be waited for like any other file.
    let mut files = [PollFd::new(&fence, PollFlags::IN)];
    let patience = Timespec {
        tv_sec: 60,
        tv_nsec: 0,
    };
    ensure!(poll(&mut files, Some(&patience))? == 1, "never signalled");
    ensure_holds(&shared.owned.map()?, &content, "what the other wrote")?;

    // The other way round, through the dma-buf of a buffer that neither of them wrote.
    let (bystander, _) = buffer(&bench.card, Domain::Gtt, 41)?;
    sync_file::put(export(&bystander)?, fence.as_fd())?;
    finish(&bystander)
}

/// Its pages are older than all others, and stay: the shrinker has to get past them.
fn what_the_other_has_mapped_keeps_nothing_else_from_swap(bench: &Bench) -> Result<()> {
    const COUNT: u64 = 4;
    let _swap = Swap::on(4 * COUNT * SIZE)?;
    let (shared, content) = Shared::new(&bench.card, Domain::Cpu)?;
    shared.ensure_reads(&content, "what was in system memory")?;
    let others = (0..COUNT)
        .map(|number| Marked::create(&bench.card, Create::new(SIZE, Domains::CPU), number))
        .collect::<Result<Vec<_>>>()?;
    let before = meminfo("GPUActive")?;
    drop_caches()?;
    let now = meminfo("GPUActive")?;
    ensure!(now + COUNT * SIZE == before, "{before} became {now}");
    others.iter().try_for_each(Marked::check)?;
    shared.ensure_reads(&content, "what stayed")
}

/// The copy waits for a fence of somebody else's, as ordinary users can put on what they share.
fn a_copy_that_waits_for_the_owner_keeps_nobody_from_a_handle(bench: &Bench) -> Result<()> {
    let (shared, content) = Shared::new(&bench.card, Domain::Vram)?;
    let shared = &shared;
    let bystander = Card::open(shared.other.path())?;
    let fence = vgem::Fence::new()?;
    fence.put_on(export(&shared.owned)?)?;
    let (began, begun) = mpsc::channel();
    thread::scope(|scope| {
        let copy = scope.spawn(move || {
            began.send(rustix::thread::gettid())?;
            shared.read()
        });
        let tid = begun.recv()?.as_raw_nonzero();
        await_fence_wait(&format!("/proc/self/task/{tid}"))?;
        Imported::new(&bystander, export(&shared.owned)?)?;
        bystander.create(Create::new(4096, Domains::VRAM))?;
        ensure!(!copy.is_finished(), "they waited for the fence, too");
        drop(fence);
        join(copy)
    })?;
    shared.ensure_reads(&content, "what was waited for")
}

/// One client moves buffers, one takes their memory away, and two of the other card read them.
fn all_go_on_while_memory_is_short(bench: &Bench) -> Result<()> {
    const ROUNDS: usize = 60;
    let _swap = Swap::on(256 << 20)?;
    let (shared, _) = Shared::new(&bench.card, Domain::Vram)?;
    let (shared, card) = (&shared, &bench.card);
    let set: Vec<_> = (0..6)
        .map(|number| {
            let (owned, content) = buffer(card, Domain::ALL[number % 3], number as u64)?;
            let imported = Imported::new(&shared.other, export(&owned)?)?;
            Ok((owned, content, imported))
        })
        .collect::<Result<_>>()?;
    let at = |round| &set[round % set.len()];
    let at = &at;
    thread::scope(|scope| {
        let clients = [
            scope.spawn(move || {
                (0..ROUNDS).try_for_each(|n| Ok(at(n).0.move_to(Domain::ALL[n / 6 % 3])?))
            }),
            scope.spawn(move || {
                let imported = |n| at(n).2.handle;
                (0..ROUNDS).try_for_each(|n| {
                    Ok(start_copy(
                        &shared.other,
                        imported(n),
                        shared.copy.handle(),
                    )?)
                })
            }),
            scope.spawn(move || {
                (0..ROUNDS).try_for_each(|n| {
                    let other = Card::open(shared.other.path())?;
                    let imported = Imported::new(&other, export(&at(n).0)?)?;
                    let (copy, _) = buffer(&other, Domain::Vram, 2)?;
                    start_copy(&other, imported.handle, copy.handle())?;
                    finish(&copy)?;
                    ensure_holds(&copy.map()?, &at(n).1, "what another client copied")
                })
            }),
            scope.spawn(move || {
                let create = Create::new(6 << 20, Domains::VRAM);
                (0..4).try_for_each(|_| {
                    (0..12)
                        .map(|_| Ok(card.create(create)?))
                        .collect::<Result<Vec<_>>>()?;
                    drop_caches()
                })
            }),
        ];
        clients.into_iter().try_for_each(join)
    })?;
    set.iter()
        .try_for_each(|(owned, content, _)| ensure_holds(&owned.map()?, content, "the buffer"))
}

fn the_owner_goes_first(driver: &Driver) -> Result<()> {
    let (shared, _) = Shared::new(&Card::find()?, Domain::Vram)?;
    shared.read()?;
    let Shared {
        owned,
        other,
        imported,
        copy,
        _second,
    } = shared;
    driver.unbind()?;
    // What was read, or zeroes: but the other card works on, and finds nothing there.
    finish(&copy)?;
    let result = start_copy(&other, imported.handle, copy.handle());
    ensure!(result == Err(Errno::NODEV), "{result:?}");
    let (fine, content) = buffer(&other, Domain::Vram, 50)?;
    start_copy(&other, fine.handle(), copy.handle())?;
    finish(&copy)?;
    ensure_holds(&copy.map()?, &content, "a copy of its own")?;
    drop((owned, imported, other));
    driver.bind()?;
    Ok(())
}

fn the_user_goes_first(_: &Driver) -> Result<()> {
    let card = Card::find()?;
    let (shared, content) = Shared::new(&card, Domain::Vram)?;
    shared.read()?;
    shared._second.unbind()?;
    // It is told of moves no more, and not asked either.
    shared.owned.move_to(Domain::Vram)?;
    finish(&shared.owned)?;
    ensure_holds(&shared.owned.map()?, &content, "what the other had mapped")
}
