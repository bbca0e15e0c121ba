// SPDX-License-Identifier: GPL-2.0

//! A client of a card that lies: it uses its buffers, and looks for what others have written.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    os::{fd::AsRawFd, unix::process::ExitStatusExt},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{bail, ensure, Context, Result};
use pddgpu::{Buffer, Card, Create, Deadline, Domain, Domains, Mapping};
use pddgpu_e2e::support::random::Random;

use crate::{supervisor::stacks, touch};

/// Turns of a client.
const TURNS: u64 = 20;

/// Buffers that a client has at most.
const BUFFERS: usize = 8;

/// Bytes between two words of a buffer that are looked at.
const STEP: usize = 256;

/// What a word begins with that a client has written.
const MARK: u64 = 0x5eed << 48;

/// A client, in a process of its own.
pub struct Client {
    process: Child,
    from: BufReader<ChildStdout>,
    began: Instant,
}

/// What a client has to tell when it ends.
#[derive(Debug, Default)]
pub struct Report {
    /// Calls of the driver.
    pub operations: u64,
    /// Those that failed.
    pub refused: u64,
    /// How long the longest took.
    pub longest: Duration,
    /// Which one that was.
    pub slowest: String,
}

impl Client {
    /// Starts a client.
    pub fn start(number: u64) -> Result<Self> {
        let mut process = Command::new(env::current_exe()?)
            .arg("client")
            .arg(number.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let from = BufReader::new(process.stdout.take().context("stdout is a pipe")?);
        Ok(Self {
            process,
            from,
            began: Instant::now(),
        })
    }

    /// Waits for a line, at most so long. [`None`] at the end.
    fn line(&mut self, limit: Duration) -> Result<Option<String>> {
        let until = Instant::now() + limit;
        while self.from.buffer().is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            let mut file = libc::pollfd {
                fd: self.from.get_ref().as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            // SAFETY: There is one structure.
            let ready = unsafe { libc::poll(&mut file, 1, left.as_millis() as i32) };
            if ready > 0 {
                break;
            }
            if left.is_zero() {
                let stacks = stacks(self.process.id() as i32);
                bail!("a client hangs for {:?}:{stacks}", self.began.elapsed());
            }
        }
        let mut line = String::new();
        let len = self.from.read_line(&mut line)?;
        Ok((len > 0).then(|| line.trim_end().to_owned()))
    }

    /// Waits until it has had some turns, or has ended.
    pub fn await_turns(&mut self, turns: usize, limit: Duration) -> Result<()> {
        for _ in 0..turns {
            match self.line(limit)? {
                Some(line) if line == "turn" => (),
                Some(line) => bail!("a client says: {line}"),
                None => break,
            }
        }
        Ok(())
    }

    /// Waits for its end.
    pub fn finish(mut self, limit: Duration) -> Result<Report> {
        let mut report = Report::default();
        let until = Instant::now() + limit;
        while let Some(line) = self.line(until.saturating_duration_since(Instant::now()))? {
            let words: Vec<_> = line.splitn(5, ' ').collect();
            match words[..] {
                ["turn"] => (),
                ["report", operations, refused, longest, slowest] => {
                    report = Report {
                        operations: operations.parse()?,
                        refused: refused.parse()?,
                        longest: Duration::from_millis(longest.parse()?),
                        slowest: slowest.to_owned(),
                    };
                }
                _ => bail!("a client says: {line}"),
            }
        }
        let status = self.process.wait()?;
        ensure!(
            status.success(),
            "a client: {status}, signal {:?}",
            status.signal()
        );
        Ok(report)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It has ended already, unless something is wrong.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Errors that a card may cause.
const REFUSALS: [i32; 7] = [
    libc::EIO,
    libc::ENODEV,
    libc::ENOSPC,
    libc::ENOMEM,
    libc::EINTR,
    libc::ETIME,
    libc::EBUSY,
];

/// A client at work.
struct Work {
    card: Card,
    number: u64,
    random: Random,
    buffers: Vec<(Buffer, Mapping)>,
    report: Report,
}

/// Plays a client.
///
/// # Errors
///
/// If it sees what another one has written, or a call fails in a way that is not documented.
pub fn play(number: u64) -> Result<()> {
    touch::install()?;
    let mut out = std::io::stdout();
    // There may be no card by now.
    let Ok(card) = Card::find() else {
        return Ok(());
    };
    let mut work = Work {
        card,
        number,
        random: Random::new(number),
        buffers: Vec::new(),
        report: Report::default(),
    };
    for _ in 0..TURNS {
        work.turn()?;
        writeln!(out, "turn")?;
        out.flush()?;
    }
    let Work {
        buffers,
        mut report,
        ..
    } = work;
    let began = Instant::now();
    drop(buffers);
    if began.elapsed() > report.longest {
        report.longest = began.elapsed();
        report.slowest = String::from("close");
    }
    let longest = report.longest.as_millis();
    let Report {
        operations,
        refused,
        slowest,
        ..
    } = report;
    writeln!(out, "report {operations} {refused} {longest} {slowest}")?;
    Ok(())
}

impl Work {
    /// Makes a call, and measures it. [`None`] if it was refused.
    fn call<T>(
        &mut self,
        what: &str,
        run: impl FnOnce(&Card) -> pddgpu::Result<T>,
    ) -> Result<Option<T>> {
        let began = Instant::now();
        let result = run(&self.card);
        let took = began.elapsed();
        if took > self.report.longest {
            self.report.longest = took;
            self.report.slowest = what.to_owned();
        }
        self.report.operations += 1;
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                let errno = error.errno().map(|errno| errno.raw_os_error());
                ensure!(
                    errno.is_some_and(|errno| REFUSALS.contains(&errno)),
                    "{what}: {error}"
                );
                self.report.refused += 1;
                Ok(None)
            }
        }
    }

    fn mark(&self) -> u64 {
        MARK | (self.number << 16)
    }

    /// Looks at a buffer: what is neither zero nor this client's is another's.
    fn look(&mut self, at: usize, what: &str) -> Result<()> {
        let mark = self.mark();
        let (_, map) = &self.buffers[at];
        let (start, len) = (map.as_ptr() as usize, map.len());
        let began = Instant::now();
        let faults = touch::faults();
        for offset in (0..len).step_by(STEP) {
            let word = touch::load(start + offset);
            if touch::faults() > faults {
                // The card is broken, and so is the rest of the buffer.
                break;
            }
            ensure!(
                word == 0 || word & !0xffff == mark,
                "{what}: at {offset:#x} of {len:#x} there is {word:#x}, not {mark:#x}"
            );
        }
        let took = began.elapsed();
        if took > self.report.longest {
            self.report.longest = took;
            self.report.slowest = format!("access {what}");
        }
        Ok(())
    }

    fn fill(&self, at: usize) {
        let (_, map) = &self.buffers[at];
        let start = map.as_ptr() as usize;
        let faults = touch::faults();
        for offset in (0..map.len()).step_by(STEP) {
            if touch::faults() > faults {
                break;
            }
            touch::store(
                start + offset,
                self.mark() | ((offset / STEP) as u64 & 0xffff),
            );
        }
    }

    fn turn(&mut self) -> Result<()> {
        if self.buffers.len() == BUFFERS {
            let (buffer, map) = self.buffers.swap_remove(self.random.below(BUFFERS));
            drop(map);
            self.call("GEM_CLOSE", |_| buffer.close())?;
        }
        let size = 4096 << self.random.below(9);
        let domains = match self.random.below(4) {
            0 => Domains::all(),
            1 => Domains::GTT,
            _ => Domains::VRAM,
        };
        let create = Create::new(size, domains);
        if let Some(buffer) = self.call("GEM_CREATE", |card| card.create(create))? {
            if let Some(map) = self.call("GEM_MMAP", |_| buffer.map())? {
                self.buffers.push((buffer, map));
                let at = self.buffers.len() - 1;
                self.look(at, "a new buffer")?;
                self.fill(at);
            }
        }
        for _ in 0..2 {
            if self.buffers.is_empty() {
                break;
            }
            let at = self.random.below(self.buffers.len());
            let domain = self.random.pick(&Domain::ALL);
            let (buffer, map) = self.buffers.swap_remove(at);
            self.call("GEM_MOVE", |_| buffer.move_to(domain))?;
            if self.random.below(2) == 0 {
                let deadline = Deadline::after(Duration::from_millis(20));
                self.call("GEM_WAIT", |_| buffer.wait(deadline))?;
            }
            self.buffers.push((buffer, map));
            let at = self.buffers.len() - 1;
            self.look(at, "a buffer that was moved")?;
            self.fill(at);
        }
        Ok(())
    }
}
