// SPDX-License-Identifier: GPL-2.0

//! Whose each byte is: the balance sheet adds up, whatever runs.

use std::{
    env, fs,
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    process::{self, Command},
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
use serde_json::{json, Value};

use crate::support::{
    child::{self, Child, Keep, Part, LEAKER},
    driver::Driver,
    fixture::{skip, trials, Bench},
    leaker::start_leaker,
    nodes,
    owners::{balanced, in_use, of},
    patience::eventually,
    prime,
    random::Random,
    user::{Opened, USER},
};

const THREADS: u64 = 3;

/// Buffers of a thread alive at once.
const AT_ONCE: usize = 32;

/// Operations of each thread of the random walk, and buffers of the test for how long a snapshot
/// takes. The walk has 100,000 operations if `PDDGPU_LONG` is set, which takes minutes.
fn operations_and_buffers() -> (usize, usize) {
    match env::var_os("PDDGPU_LONG") {
        Some(_) => (34_000, 100_000),
        None => (6_000, 10_000),
    }
}

pub fn tests() -> Vec<Trial> {
    let mut tests = trials!(card_trial:
        a_buffer_belongs_to_who_holds_it,
        clients_are_named,
        no_process_forges_a_line,
        users_see_themselves_and_the_sum_of_the_others,
        processes_with_a_dma_buf_or_a_mapping_are_named,
        every_byte_has_an_owner_while_all_changes,
        a_snapshot_of_many_buffers_takes_less_than_a_millisecond,
    );
    tests.extend(trials!(driver_trial: what_is_reserved_has_a_reason));
    tests
}

fn own<'a>(owners: &'a [Owner], card: &Card) -> Result<&'a Owner> {
    let id = card.client_id()?;
    let mut owners = owners.iter();
    let own = owners.find(|owner| owner.client == Some(id));
    own.with_context(|| format!("client {id} is not listed"))
}

fn a_buffer_belongs_to_who_holds_it(bench: &Bench) -> Result<()> {
    let size = 1 << 20;
    let kinds = |kind| Ok::<_, anyhow::Error>(of(&balanced(&bench.card)?, kind));
    let before = kinds(OwnerKind::Client)?;
    let buffer = bench.card.create(Create::new(size, Domains::VRAM))?;
    let all = balanced(&bench.card)?;
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
    let all = balanced(&bench.card)?;
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
        let all = balanced(&bench.card)?;
        let left = in_use(&all);
        ensure!(left == 0, "{left} bytes are still somebody's: {all:?}");
        Ok(())
    })
}

fn clients_are_named(bench: &Bench) -> Result<()> {
    nodes::set_client_name(&bench.card, "a-name")?;
    let all = balanced(&bench.card)?;
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
    let all = balanced(&bench.card);
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

/// What `pddgpuctl owners --buffers` tells of a buffer by its size.
fn told(size: u64) -> Result<Value> {
    let output = Command::new("pddgpuctl")
        .args(["owners", "--buffers", "--json"])
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let buffers = report["buffers"].as_array().context("no buffers")?;
    let buffer = buffers.iter().find(|buffer| buffer["size"] == size);
    Ok(buffer.with_context(|| format!("{report}"))?.clone())
}

fn processes_with_a_dma_buf_or_a_mapping_are_named(bench: &Bench) -> Result<()> {
    let (open, mapped) = (20 << 10, 40 << 10);
    let (has_open, file) = start_leaker(bench, Keep::Export, open)?;
    let (has_mapped, _) = start_leaker(bench, Keep::Mapping, mapped)?;
    let process = |pid: u32, command: &str| json!([{ "pid": pid, "command": command }]);
    let nobody = json!([]);

    let buffer = told(open)?;
    ensure!(buffer["clients"] == nobody, "{buffer}");
    ensure!(
        buffer["dma_buf_open"] == process(has_open.pid(), LEAKER),
        "{buffer}"
    );
    ensure!(buffer["dma_buf_mapped"] == nobody, "{buffer}");

    // Passed on, mapped, and closed by all.
    let map = prime::map(has_open.take_file(&file)?, open as usize)?;
    has_open.finish()?;
    let buffer = told(open)?;
    let this = fs::read_to_string("/proc/self/comm")?;
    ensure!(buffer["dma_buf_open"] == nobody, "{buffer}");
    ensure!(
        buffer["dma_buf_mapped"] == process(process::id(), this.trim_end()),
        "{buffer}"
    );
    drop(map);

    let buffer = told(mapped)?;
    ensure!(buffer["clients"] == nobody, "{buffer}");
    ensure!(
        buffer["mapped"] == process(has_mapped.pid(), LEAKER),
        "{buffer}"
    );
    has_mapped.finish()
}

fn what_is_reserved_has_a_reason(driver: &Driver) -> Result<()> {
    let card = Card::find()?;
    let before = of(&balanced(&card)?, OwnerKind::Request);
    let path = pddgpu::gem_list::debugfs_dir(&card)?.join("pddgpu_vram_reserve");
    fs::write(path, "0x800000 0x3000")?;
    let after = of(&balanced(&card)?, OwnerKind::Request);
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
    /// The largest buffers, in pages.
    largest: usize,
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
                let most = random.pick(&[256, 256, self.largest]);
                let size = 4096 * (1 + random.below(most) as u64);
                let domain = random.pick(&[Domain::Vram, Domain::Vram, Domain::Gtt, Domain::Cpu]);
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
    let (operations, _) = operations_and_buffers();
    // So that they push each other out.
    let largest = (bench.device.vram_size / 8 / 4096) as usize;
    let evictions = bench.card.memory_stats()?.evictions;
    let mut snapshots = 0;
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for (seed, (from, to)) in from.into_iter().zip(to).enumerate() {
            let card = Card::open(bench.card.path())?;
            threads.push(scope.spawn(move || -> Result<()> {
                let mut worker = Worker {
                    card,
                    random: Random::new(seed as u64),
                    largest,
                    buffers: Vec::new(),
                    mappings: Vec::new(),
                    files: Vec::new(),
                    to,
                    from,
                };
                (0..operations).try_for_each(|_| worker.operate())
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
            result = balanced(&bench.card).map(drop);
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
    let evicted = bench.card.memory_stats()?.evictions - evictions;
    ensure!(evicted > 0, "nothing was evicted");
    balanced(&bench.card).map(drop)
}

fn a_snapshot_of_many_buffers_takes_less_than_a_millisecond(bench: &Bench) -> Result<()> {
    if Path::new("/proc/lockdep").exists() {
        return skip("the checks of this kernel take most of the time");
    }
    let create = Create::new(4096, Domains::CPU);
    let (_, count) = operations_and_buffers();
    let buffers: Result<Vec<_>, _> = (0..count).map(|_| bench.card.create(create)).collect();
    let _buffers = buffers?;
    // No lock is held for longer than the whole call takes when nobody interrupts it.
    let times = (0..100).map(|_| {
        let start = Instant::now();
        bench.card.owners().map(|_| start.elapsed())
    });
    let times: Result<Vec<_>, _> = times.collect();
    let least = times?.into_iter().min().context("no time")?;
    ensure!(least < Duration::from_millis(1), "it takes {least:?}");
    ensure!(own(&balanced(&bench.card)?, &bench.card)?.buffers == count as u64);
    Ok(())
}
