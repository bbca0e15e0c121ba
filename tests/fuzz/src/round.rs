// SPDX-License-Identifier: GPL-2.0

//! A round: programs and the administrator do what a plan says; afterwards nothing is left of it.

use std::{
    fs,
    process::exit,
    sync::atomic::Ordering::Relaxed,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure, Context, Result};
use pddgpu::{gem_list, virtual_card::VirtualCard, Card};
use pddgpu_e2e::support::{
    driver, fault_injection,
    fixture::State,
    kmsg::{fail_on_alarms, Log},
};

use crate::{
    administrator::Machine,
    plan::Plan,
    program,
    shared::{Shared, PROGRAMS, THREADS},
    supervisor::stacks,
};

/// How long a stream may be busy with one operation. A card that fails has three tries of three
/// seconds for each of the jobs that somebody waits for.
const HANG: Duration = Duration::from_secs(90);

/// How long what was freed may take to be gone.
const SETTLE: Duration = Duration::from_secs(60);

/// What all rounds start from and have to come back to.
pub struct Bench {
    machine: Machine,
    before: State,
    log: Log,
    /// Sockets between neighbouring programs.
    sockets: Vec<[i32; 2]>,
}

/// A process of this program.
struct Process {
    id: i32,
    /// Its number; [`PROGRAMS`] is the administrator.
    number: usize,
}

impl Bench {
    /// Looks at the card, which must be idle.
    ///
    /// # Errors
    ///
    /// If there is no card that nobody uses.
    pub fn new(shared: &'static Shared) -> Result<Self> {
        fault_injection::prepare()?;
        let card = Card::find()?;
        let mut sockets = Vec::new();
        for _ in 0..PROGRAMS {
            let mut pair = [0; 2];
            // SAFETY: There is room for two files.
            let result =
                unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_DGRAM, 0, pair.as_mut_ptr()) };
            ensure!(result == 0, "no sockets");
            sockets.push(pair);
        }
        Ok(Self {
            machine: Machine {
                slot: driver::slot(&card)?,
                shared,
            },
            before: State::of(&card)?,
            log: Log::from_now()?,
            sockets,
        })
    }

    /// System calls that were made in all rounds.
    pub fn calls(&self) -> u64 {
        self.machine.shared.calls.load(Relaxed)
    }

    /// Plays a round. The kernel's log says which, in case it ends there.
    ///
    /// # Errors
    ///
    /// If somebody hangs, the kernel complains, or something is left.
    pub fn play(&mut self, name: &str, plan: &Plan) -> Result<()> {
        fs::write("/dev/kmsg", format!("pddgpu-fuzz: {name}\n")).context("/dev/kmsg")?;
        self.machine.shared.start();
        self.machine.shared.alive.fetch_add(1, Relaxed);
        let played = self.run(plan);
        // What is on its way to nobody keeps files open.
        self.drain();
        let log = self.log.take().and_then(|lines| fail_on_alarms(&lines));
        log.and(played)?;
        self.clean_up(plan)?;
        self.log.take().and_then(|lines| fail_on_alarms(&lines))
    }

    fn start(&self, plan: &Plan, number: usize) -> Result<Process> {
        // SAFETY: This process has one thread, so that the child can do as it likes.
        let id = unsafe { libc::fork() };
        ensure!(id >= 0, "no process");
        if id == 0 {
            // SAFETY: The process becomes the first of a group of its own.
            unsafe { libc::setpgid(0, 0) };
            let shared = self.machine.shared;
            let result = if number == PROGRAMS {
                program::administer(plan, &self.machine);
                Ok(())
            } else {
                let next = (number + 1) % PROGRAMS;
                let sockets = [self.sockets[number][0], self.sockets[next][1]];
                program::run(plan, number, shared, sockets)
            };
            if let Err(error) = &result {
                eprintln!("program {number}: {error:#}");
            }
            exit(i32::from(result.is_err()));
        }
        if number < PROGRAMS {
            self.machine.shared.programs[number].store(id as u64, Relaxed);
        }
        Ok(Process { id, number })
    }

    /// Runs everybody to the end. Who is killed goes on after what killed it.
    fn run(&self, plan: &Plan) -> Result<()> {
        let mut processes = Vec::new();
        for number in 0..=PROGRAMS {
            processes.push(self.start(plan, number)?);
        }
        let mut watch = Watch::new();
        while !processes.is_empty() {
            let mut status = 0;
            // SAFETY: The status is there to be written.
            let id = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
            if id > 0 {
                let Some(at) = processes.iter().position(|process| process.id == id) else {
                    continue;
                };
                let process = processes.swap_remove(at);
                // Its children, which may be stopped for a debugger that is gone.
                // SAFETY: Nobody else is in the group.
                unsafe { libc::kill(-id, libc::SIGKILL) };
                ensure!(
                    !libc::WIFEXITED(status) || libc::WEXITSTATUS(status) != 1,
                    "a program could not start"
                );
                let whole = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0;
                if !whole && self.has_more(plan, process.number) {
                    processes.push(self.start(plan, process.number)?);
                }
                continue;
            }
            if let Some(stream) = watch.hung(self.machine.shared) {
                let stacks = self.stop(&processes);
                bail!("stream {stream} hangs{stacks}");
            }
            sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Whether a program has operations left.
    fn has_more(&self, plan: &Plan, number: usize) -> bool {
        let streams = number * THREADS..(number + 1) * THREADS;
        number < PROGRAMS
            && streams.into_iter().any(|stream| {
                let begun = self.machine.shared.begun[stream].load(Relaxed);
                begun < plan.streams[stream].len() as u64
            })
    }

    /// Kills everybody. Returns where in the kernel those are who hang.
    fn stop(&self, processes: &[Process]) -> String {
        let mut text = String::new();
        for process in processes {
            text += &stacks(process.id);
            // SAFETY: It is a child that was not waited for, with its children.
            unsafe { libc::kill(-process.id, libc::SIGKILL) };
        }
        text
    }

    /// Takes the files that nobody received.
    fn drain(&self) {
        let mut byte = [0_u8; 16];
        for pair in &self.sockets {
            for socket in pair {
                // A message that is read as bytes has its files closed.
                // SAFETY: The buffer has as many bytes as are asked for.
                while unsafe {
                    libc::recv(
                        *socket,
                        byte.as_mut_ptr().cast(),
                        byte.len(),
                        libc::MSG_DONTWAIT,
                    )
                } > 0
                {}
            }
        }
    }

    /// Waits until nothing is left, and puts the card back where it is not as it was.
    fn clean_up(&self, plan: &Plan) -> Result<()> {
        let mut card = VirtualCard::find()?.context("this VM's card has no control channel")?;
        card.clear_injections()?;
        drop(card);
        self.machine.restore();
        self.machine.shared.alive.fetch_add(1, Relaxed);
        let began = Instant::now();
        loop {
            match nothing_left() {
                Ok(()) => break,
                Err(error) if began.elapsed() > SETTLE => return Err(error),
                Err(_) => sleep(Duration::from_millis(5)),
            }
        }
        let settled = State::of(&Card::find()?)?;
        if settled == self.before {
            return Ok(());
        }
        // Reservations, which last until the card is bound anew.
        let changed = plan
            .list()
            .lines()
            .any(|line| line.contains(" write_setting ") || line.starts_with("administrator"));
        ensure!(changed, "left behind: {settled:?} was {:?}", self.before);
        self.machine.driver("unbind");
        self.machine.restore();
        let now = State::of(&Card::find()?)?;
        ensure!(
            now == self.before,
            "left behind: {now:?} was {:?}",
            self.before
        );
        Ok(())
    }
}

/// Fails while there is a buffer, or a byte in use.
fn nothing_left() -> Result<()> {
    let card = Card::find()?;
    let stats = card.memory_stats()?;
    if stats.objects_live > 0 {
        let clients = gem_list::read(&card)?;
        let holders: Vec<_> = clients
            .iter()
            .map(|client| (client.pid, client.buffers.len()))
            .collect();
        bail!(
            "{} buffers are left, by PID: {holders:?}",
            stats.objects_live
        );
    }
    for heap in card.heaps()? {
        ensure!(heap.used == heap.reserved, "bytes are left: {heap:?}");
    }
    let leaks = card.leaks()?;
    ensure!(leaks.is_empty(), "orphaned: {leaks:?}");
    Ok(())
}

/// Who has been busy with one operation for how long.
struct Watch {
    seen: Vec<(u64, Instant)>,
}

impl Watch {
    fn new() -> Self {
        Self { seen: Vec::new() }
    }

    /// A stream that hangs, if any does. One that has ended does not: the caller knows when all
    /// have.
    fn hung(&mut self, shared: &Shared) -> Option<usize> {
        let now = Instant::now();
        self.seen.resize(shared.begun.len(), (u64::MAX, now));
        let mut active = false;
        for (seen, begun) in self.seen.iter_mut().zip(&shared.begun) {
            let begun = begun.load(Relaxed);
            if seen.0 != begun {
                *seen = (begun, now);
                active = true;
            }
        }
        let latest = self.seen.iter().map(|seen| seen.1).max()?;
        if active || now - latest < HANG {
            return None;
        }
        self.seen.iter().position(|seen| seen.1 == latest)
    }
}
