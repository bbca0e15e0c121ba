// SPDX-License-Identifier: GPL-2.0

//! Whose each byte is: the balance sheet adds up, whatever runs.

use std::{
    fs,
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    process,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{Buffer, Card, Create, Domain, Domains, Mapping, Owner, OwnerKind};
use rustix::{
    io::Errno,
    net::{
        recvmsg, sendmsg, socketpair, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage,
        RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    },
};

use crate::support::{
    child::{self, Child, Part},
    driver::Driver,
    fixture::{trials, Bench},
    nodes,
    patience::eventually,
    random::Random,
    user::{Opened, USER},
};

const THREADS: u64 = 3;

/// Operations of each thread.
const OPERATIONS: usize = 8000;

/// Buffers of a thread alive at once.
const AT_ONCE: usize = 24;

/// Clients of the test for how long a snapshot takes.
const BUFFERS: usize = 10_000;

pub fn tests() -> Vec<Trial> {
    let mut tests = trials!(card_trial:
        a_buffer_belongs_to_who_holds_it,
        clients_are_named,
        no_process_forges_a_line,
        users_see_themselves_and_the_sum_of_the_others,
        every_byte_has_an_owner_while_all_changes,
        a_snapshot_of_many_buffers_takes_less_than_a_millisecond,
    );
    tests.extend(trials!(driver_trial: what_is_reserved_has_a_reason));
    tests
}

/// The owners, of whom there is one for each byte.
fn owners(card: &Card) -> Result<Vec<Owner>> {
    let owners = card.owners()?;
    for heap in card.heaps()? {
        let sum: u64 = owners.iter().map(|owner| owner.bytes(heap.domain)).sum();
        ensure!(
            sum == heap.total,
            "{sum} of {} bytes of {}: {owners:#?}",
            heap.total,
            heap.domain
        );
    }
    let nobody = of(&owners, OwnerKind::None);
    ensure!(nobody == 0, "{nobody} bytes are nobody's: {owners:#?}");
    Ok(owners)
}

/// Bytes of VRAM of a kind.
fn of(owners: &[Owner], kind: OwnerKind) -> u64 {
    let of_kind = owners.iter().filter(|owner| owner.kind == kind);
    of_kind.map(|owner| owner.vram).sum()
}

fn own<'a>(owners: &'a [Owner], card: &Card) -> Result<&'a Owner> {
    let id = card.client_id()?;
    let mut owners = owners.iter();
    let own = owners.find(|owner| owner.client == Some(id));
    own.with_context(|| format!("client {id} is not listed"))
}

fn a_buffer_belongs_to_who_holds_it(bench: &Bench) -> Result<()> {
    let size = 1 << 20;
    let kinds = |kind| Ok::<_, anyhow::Error>(of(&owners(&bench.card)?, kind));
    let before = kinds(OwnerKind::Client)?;
    let buffer = bench.card.create(Create::new(size, Domains::VRAM))?;
    let all = owners(&bench.card)?;
    let (vram, buffers) = (
        own(&all, &bench.card)?.vram,
        own(&all, &bench.card)?.buffers,
    );
    ensure!((vram, buffers) == (size, 1), "{vram} bytes, {buffers}");

    // It counts once, however many have it.
    let other = Card::open(bench.card.path())?;
    let file = buffer.export(true)?;
    let theirs = other.import(&file)?;
    ensure!(kinds(OwnerKind::Client)? == before + size, "counted twice");
    drop(buffer);
    let all = owners(&bench.card)?;
    ensure!(own(&all, &other)?.vram == size, "not the other's: {all:?}");

    let mapping = theirs.map()?;
    drop(theirs);
    // The client that has imported it keeps a reference to the dma-buf no longer.
    ensure!(kinds(OwnerKind::DmaBuf)? == size, "not the dma-buf's");
    drop(file);
    eventually(|| {
        let bytes = kinds(OwnerKind::Mapping)?;
        ensure!(bytes == size, "{bytes} bytes are the mapping's");
        Ok(())
    })?;
    drop(mapping);
    eventually(|| {
        let all = owners(&bench.card)?;
        let left = all.iter().filter(|owner| owner.kind.is_used());
        let left: u64 = left.map(|owner| owner.vram + owner.cpu + owner.gtt).sum();
        ensure!(left == 0, "{left} bytes are still somebody's: {all:?}");
        Ok(())
    })
}

fn clients_are_named(bench: &Bench) -> Result<()> {
    nodes::set_client_name(&bench.card, "a-name")?;
    let all = owners(&bench.card)?;
    let own = own(&all, &bench.card)?;
    ensure!(own.name == "a-name", "{own:?}");
    ensure!(own.pid == Some(process::id()), "{own:?}");
    ensure!(own.command.starts_with("pddgpu-e2e"), "{own:?}");
    ensure!(own.cgroup.is_some(), "{own:?}");
    Ok(())
}

fn no_process_forges_a_line(bench: &Bench) -> Result<()> {
    let comm = "/proc/self/comm";
    let before = fs::read_to_string(comm)?;
    fs::write(comm, "a\nb\x1b[2J\x7f")?;
    let all = owners(&bench.card);
    let path = pddgpu::gem_list::debugfs_dir(&bench.card)?.join("pddgpu_owners");
    let report = fs::read_to_string(path)?;
    fs::write(comm, before.trim_end())?;
    let all = all?;
    let own = own(&all, &bench.card)?;
    ensure!(own.command == "a?b?[2J?", "{own:?}");
    ensure!(
        report.contains(" a?b?[2J?; ") && !report.contains('\x1b'),
        "{report:?}"
    );
    Ok(())
}

fn users_see_themselves_and_the_sum_of_the_others(bench: &Bench) -> Result<()> {
    let _node = Opened::set(bench.card.path().into(), 0o666)?;
    let _buffer = bench
        .card
        .create(Create::new(child::SIZE as u64, Domains::GTT))?;
    Child::start(Part::UnprivilegedOwners, bench.card.path(), Some(USER))?.finish()
}

fn what_is_reserved_has_a_reason(driver: &Driver) -> Result<()> {
    let card = Card::find()?;
    let before = of(&owners(&card)?, OwnerKind::Request);
    let path = pddgpu::gem_list::debugfs_dir(&card)?.join("pddgpu_vram_reserve");
    fs::write(path, "0x800000 0x3000")?;
    let after = of(&owners(&card)?, OwnerKind::Request);
    ensure!(after == before + 0x3000, "{before}, {after}");
    drop(card);
    driver.unbind()?;
    driver.bind()?;
    Ok(())
}

/// One thread's use of a card, as a client of its own.
struct Worker {
    card: Card,
    random: Random,
    buffers: Vec<Buffer>,
    mappings: Vec<Mapping>,
    files: Vec<OwnedFd>,
    /// Where dma-bufs of this one's go.
    to: OwnedFd,
    /// Where those of another one come from.
    from: OwnedFd,
}

impl Worker {
    fn operate(&mut self) -> Result<()> {
        let random = &mut self.random;
        let count = self.buffers.len();
        match random.below(8) {
            0..=2 if count < AT_ONCE => {
                let size = 4096 * (1 + random.below(256) as u64);
                let domain = Domain::ALL[random.below(3)];
                // There may be no room for it now.
                if let Ok(buffer) = self.card.create(Create::new(size, domain.into())) {
                    self.buffers.push(buffer);
                }
            }
            3 if count > 0 => {
                let domain = Domain::ALL[random.below(3)];
                let _ = self.buffers[random.below(count)].move_to(domain);
            }
            4 if count > 0 => {
                let file = self.buffers[random.below(count)].export(true)?;
                match random.below(2) {
                    0 => self.files.push(file),
                    _ => send(&self.to, &file)?,
                }
            }
            5 if count > 0 && self.mappings.len() < AT_ONCE => {
                let mapping = self.buffers[random.below(count)].map()?;
                self.mappings.push(mapping);
            }
            6 => {
                // Those of others, which this one has a handle of for a moment.
                while let Some(file) = receive(&self.from)? {
                    drop(self.card.import(file)?);
                }
                self.files.truncate(random.below(4));
                self.mappings.truncate(random.below(4));
            }
            _ if count > 0 => drop(self.buffers.swap_remove(random.below(count))),
            _ => {}
        }
        Ok(())
    }
}

/// Sends a file (`SCM_RIGHTS`), unless nobody would take it.
fn send(to: &OwnedFd, file: &OwnedFd) -> Result<()> {
    let files = [file.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&files));
    match sendmsg(to, &[IoSlice::new(b"x")], &mut control, SendFlags::NOSIGNAL) {
        Err(Errno::AGAIN | Errno::PIPE | Errno::CONNRESET) => Ok(()),
        sent => Ok(sent.map(drop)?),
    }
}

/// A file that was sent, if there is one.
fn receive(from: &OwnedFd) -> Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut data = [IoSliceMut::new(&mut byte)];
    match recvmsg(from, &mut data, &mut control, RecvFlags::CMSG_CLOEXEC) {
        Err(Errno::AGAIN | Errno::CONNRESET) => return Ok(None),
        received => received?,
    };
    let mut files = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    Ok(files.next())
}

fn socket_pair() -> Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        flags,
        None,
    )?)
}

fn every_byte_has_an_owner_while_all_changes(bench: &Bench) -> Result<()> {
    let ended = &AtomicBool::new(false);
    let pairs: Result<Vec<_>> = (0..THREADS).map(|_| socket_pair()).collect();
    let (mut to, from): (Vec<_>, Vec<_>) = pairs?.into_iter().unzip();
    to.rotate_left(1);
    let mut snapshots = 0;
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for (seed, (from, to)) in from.into_iter().zip(to).enumerate() {
            let card = Card::open(bench.card.path())?;
            threads.push(scope.spawn(move || -> Result<()> {
                let mut worker = Worker {
                    card,
                    random: Random::new(seed as u64),
                    buffers: Vec::new(),
                    mappings: Vec::new(),
                    files: Vec::new(),
                    to,
                    from,
                };
                (0..OPERATIONS).try_for_each(|_| worker.operate())
            }));
        }
        let killer = scope.spawn(|| -> Result<()> {
            while !ended.load(Ordering::Relaxed) {
                let mut child = Child::start(Part::Hold, bench.card.path(), None)?;
                child.listen()?;
                child.kill()?;
            }
            Ok(())
        });

        let mut result = Ok(());
        while result.is_ok() && threads.iter().any(|thread| !thread.is_finished()) {
            result = owners(&bench.card).map(drop);
            snapshots += 1;
        }
        ended.store(true, Ordering::Relaxed);
        for thread in threads.into_iter().chain([killer]) {
            let ended = thread.join();
            result = result.and(ended.unwrap_or_else(|_| Err(anyhow::anyhow!("it panicked"))));
        }
        result
    })?;
    ensure!(snapshots > 100, "{snapshots} snapshots");
    owners(&bench.card).map(drop)
}

fn a_snapshot_of_many_buffers_takes_less_than_a_millisecond(bench: &Bench) -> Result<()> {
    let create = Create::new(4096, Domains::CPU);
    let buffers: Result<Vec<_>, _> = (0..BUFFERS).map(|_| bench.card.create(create)).collect();
    let _buffers = buffers?;
    // No lock is held for longer than the whole call takes when nobody interrupts it.
    let times = (0..100).map(|_| {
        let start = Instant::now();
        bench.card.owners().map(|_| start.elapsed())
    });
    let times: Result<Vec<_>, _> = times.collect();
    let least = times?.into_iter().min().context("no time")?;
    ensure!(least < Duration::from_millis(1), "it takes {least:?}");
    ensure!(own(&owners(&bench.card)?, &bench.card)?.buffers == BUFFERS as u64);
    Ok(())
}
