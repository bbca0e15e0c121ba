// SPDX-License-Identifier: GPL-2.0

//! Other processes: this program again, in one of the parts below.
//!
//! Parent and child take turns on the child's standard input and output, a line at a time.

mod many;
mod unprivileged;

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    path::Path,
    process::{Child as Process, ChildStdin, ChildStdout, Command, ExitCode, ExitStatus, Stdio},
};

use anyhow::{bail, ensure, Context, Result};
use pddgpu::{gem_list, Buffer, Card, Create, CreateFlags, Domain, Domains, Mapping};
use rustix::{
    io::Errno,
    process::{pidfd_getfd, pidfd_open, Pid, PidfdFlags, PidfdGetfdFlags},
};

use crate::support::{compare::ensure_holds, prime};

/// The argument before the name of a part.
const ARGUMENT: &str = "--child";

/// Bytes of each buffer that a child creates.
pub const SIZE: usize = 64 << 10;

/// What a child's buffers hold.
pub const BYTE: u8 = 0x5a;

/// A part to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Keeps a mapped buffer in each domain; says where they are mapped.
    Hold,
    /// Keeps a mapped buffer in each domain while the card goes away, then uses them.
    OutliveCard,
    /// Uses the card all the time until it goes away.
    UseUntilGone,
    /// Uses the card as somebody who is not root.
    Unprivileged,
    /// Creates a buffer in VRAM as it is told, and leaves it alone.
    Leak,
    /// Creates a buffer and looks at leaks as somebody who is not root.
    UnprivilegedLeak,
    /// Creates a buffer and asks whose memory is whose, as somebody who is not root.
    UnprivilegedOwners,
    /// Moves a mapped buffer when it is told to, and uses it at once.
    TouchMoving,
    /// Uses a mapped buffer for the first time when it is told to.
    TouchLate,
    /// Keeps thousands of buffers in GTT.
    Hoard,
    /// Keeps thousands of buffers in VRAM, and has written to all of them.
    Soil,
    /// Creates a buffer in VRAM, of as many bytes as it is told, again and again.
    CreateHuge,
    /// Touches one byte of a buffer in system memory, of as many bytes as it is told.
    TouchHuge,
    /// Moves a buffer from VRAM to GTT, as large as there can be, when it is told to.
    MoveHuge,
    /// Creates and touches buffers in a memory cgroup until there is no more; says how many.
    Fill,
    /// Reads a report in debugfs over and over.
    ReadReport,
}

const PARTS: [Part; 16] = [
    Part::Hold,
    Part::OutliveCard,
    Part::UseUntilGone,
    Part::Unprivileged,
    Part::Leak,
    Part::UnprivilegedLeak,
    Part::UnprivilegedOwners,
    Part::TouchMoving,
    Part::TouchLate,
    Part::Hoard,
    Part::Soil,
    Part::CreateHuge,
    Part::TouchHuge,
    Part::MoveHuge,
    Part::Fill,
    Part::ReadReport,
];

/// Plays a part, if the arguments ask for one.
pub fn run() -> Option<ExitCode> {
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() != Some(ARGUMENT) {
        return None;
    }
    let (part, node) = (arguments.next()?, arguments.next()?);
    let part = PARTS.into_iter().find(|p| format!("{p:?}") == part)?;
    let result = match part {
        Part::Hold => hold(&node),
        Part::OutliveCard => outlive_card(&node),
        Part::UseUntilGone => use_until_gone(&node),
        Part::Unprivileged => unprivileged::use_card(&node),
        Part::Leak => leak(&node),
        Part::UnprivilegedLeak => unprivileged::leak(&node),
        Part::UnprivilegedOwners => unprivileged::owners(&node),
        Part::TouchMoving => touch_moving(&node),
        Part::TouchLate => touch_late(&node),
        Part::Hoard => many::hoard(&node),
        Part::Soil => many::soil(&node),
        Part::CreateHuge => create_huge(&node),
        Part::TouchHuge => touch_huge(&node),
        Part::MoveHuge => move_huge(&node),
        Part::Fill => many::fill(&node),
        Part::ReadReport => read_report(&node),
    };
    Some(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{part:?}: {error:#}");
            ExitCode::FAILURE
        }
    })
}

/// A running child.
pub struct Child {
    process: Process,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Child {
    /// Starts a child with a node of the card; as a user other than root if given.
    pub fn start(part: Part, node: &Path, user: Option<u32>) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.arg(ARGUMENT).arg(format!("{part:?}")).arg(node);
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let to = process.stdin.take().context("stdin is a pipe")?;
        let from = BufReader::new(process.stdout.take().context("stdout is a pipe")?);
        Ok(Self { process, to, from })
    }

    /// The child's process number.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits for the child to say something.
    pub fn listen(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(
            self.from.read_line(&mut line)? > 0,
            "the child ended before its time"
        );
        Ok(line.trim_end().to_owned())
    }

    /// Says something to the child.
    pub fn tell(&mut self, line: &str) -> Result<()> {
        Ok(writeln!(self.to, "{line}")?)
    }

    /// Lets the child go on, and waits for its end.
    pub fn finish(mut self) -> Result<()> {
        writeln!(self.to)?;
        drop(self.to);
        let output = self.process.wait_with_output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "the child failed: {}: {errors}",
            output.status
        );
        Ok(())
    }

    /// Takes a file out of the child.
    pub fn take_file(&self, file: &str) -> Result<OwnedFd> {
        let pid = Pid::from_raw(self.pid() as i32).context("a child has a number")?;
        let child = pidfd_open(pid, PidfdFlags::empty())?;
        pidfd_getfd(child, file.parse()?, PidfdGetfdFlags::empty()).context("pidfd_getfd")
    }

    /// Waits for the child's end, and tells which signal it died of.
    pub fn wait_for_signal(mut self) -> Result<Option<i32>> {
        drop(self.to);
        Ok(self.process.wait()?.signal())
    }

    /// Kills the child where it stands.
    pub fn kill(mut self) -> Result<ExitStatus> {
        self.process.kill()?;
        Ok(self.process.wait()?)
    }
}

/// A child that nobody waits for any more goes away when its standard input ends.
fn wait_for_parent() -> Result<()> {
    io::stdin().lock().read_line(&mut String::new())?;
    Ok(())
}

fn say(line: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Creates and fills a buffer in each domain.
fn buffers(card: &Card) -> Result<Vec<(Buffer, Mapping)>> {
    let mut buffers = Vec::new();
    for domain in Domain::ALL {
        let create =
            Create::new(SIZE as u64, domain.into()).flags(CreateFlags::CPU_ACCESS_REQUIRED);
        let buffer = card.create(create)?;
        let mut map = buffer.map()?;
        map.write(0, &[BYTE; SIZE]);
        buffers.push((buffer, map));
    }
    Ok(buffers)
}

fn hold(node: &str) -> Result<()> {
    let buffers = buffers(&Card::open(node)?)?;
    let places: Vec<_> = buffers
        .iter()
        .map(|(_, map)| (map.as_ptr() as usize).to_string())
        .collect();
    say(&places.join(" "))?;
    wait_for_parent()
}

fn outlive_card(node: &str) -> Result<()> {
    let card = Card::open(node)?;
    let mut buffers = buffers(&card)?;
    let late = card.create(Create::new(SIZE as u64, Domains::all()))?;
    let late_map = late.map()?;
    say("ready")?;
    wait_for_parent()?;

    // What is read now is nobody's memory; that it can be read and written at all is the point.
    for (_, map) in &mut buffers {
        map.to_vec();
        map.write(0, &[1; SIZE]);
        ensure_holds(map, &[1; SIZE], "a mapping that outlived its card")?;
    }
    late_map.to_vec();

    let gone = |what: &str, result: pddgpu::Result<()>| match result {
        Err(error) if error.errno() == Some(Errno::NODEV) => Ok(()),
        Err(error) => bail!("{what} without a card: {error}"),
        Ok(()) => bail!("{what} without a card succeeded"),
    };
    gone(
        "GEM_CREATE",
        card.create(Create::new(4096, Domains::CPU)).map(drop),
    )?;
    gone("QUERY", card.device().map(drop))?;
    gone("GEM_INFO", late.info().map(drop))?;
    gone("GEM_MMAP", late.mmap_offset().map(drop))?;
    gone("GEM_WAIT", late.wait(pddgpu::Deadline::PAST).map(drop))?;
    gone("GEM_MOVE", late.move_to(Domain::Cpu))
}

fn use_until_gone(node: &str) -> Result<()> {
    let card = Card::open(node)?;
    let mut turns = 0usize;
    let end = loop {
        if let Err(error) = use_once(&card, turns) {
            break error;
        }
        turns += 1;
        if turns == 10 {
            say("ready")?;
        }
    };
    ensure!(
        end.errno() == Some(Errno::NODEV),
        "after {turns} turns: {end}"
    );
    wait_for_parent()
}

fn use_once(card: &Card, turn: usize) -> pddgpu::Result<()> {
    let [from, to] = [turn, turn / 3].map(|n| Domain::ALL[n % 3]);
    let buffer = card.create(Create::new(SIZE as u64, from.into()))?;
    let mut map = buffer.map()?;
    map.write(0, &[BYTE; SIZE]);
    buffer.move_to(to)?;
    map.write(0, &[BYTE; SIZE]);
    card.heaps()?;
    buffer.close()
}

/// How a child keeps its buffer alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Handle,
    Export,
    Mapping,
}

impl Keep {
    const ALL: [Self; 3] = [Self::Handle, Self::Export, Self::Mapping];
}

/// The name of a process that leaks.
pub const LEAKER: &str = "leaker";

/// Reads how to keep a buffer of how many bytes, and says the file descriptor of the dma-buf, if it
/// is one.
fn leak(node: &str) -> Result<()> {
    fs::write("/proc/self/comm", LEAKER)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let (keep, size) = line.trim_end().split_once(' ').context("not told how")?;
    let keep = Keep::ALL.into_iter().find(|k| format!("{k:?}") == keep);
    let create = Create::new(size.parse()?, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let buffer = Card::open(node)?.create(create)?;
    match keep.context("no way to keep a buffer")? {
        Keep::Handle => {
            say("-")?;
            wait_for_parent()
        }
        Keep::Export => {
            let file = prime::export(&buffer)?;
            buffer.close()?;
            say(&file.as_raw_fd().to_string())?;
            wait_for_parent()
        }
        Keep::Mapping => {
            let _map = buffer.map()?;
            buffer.close()?;
            say("-")?;
            wait_for_parent()
        }
    }
}

/// A buffer of several MiB that the CPU can reach, and its content.
fn large_buffer(card: &Card) -> Result<(Buffer, Mapping)> {
    let create = Create::new(4 << 20, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let buffer = card.create(create)?;
    let map = buffer.map()?;
    Ok((buffer, map))
}

fn touch_moving(node: &str) -> Result<()> {
    let (buffer, mut map) = large_buffer(&Card::open(node)?)?;
    map.write(0, &vec![BYTE; map.len()]);
    say("ready")?;
    wait_for_parent()?;
    buffer.move_to(Domain::Gtt)?;
    say("moving")?;
    ensure_holds(&map, &vec![BYTE; map.len()], "a buffer that moves")
}

fn touch_late(node: &str) -> Result<()> {
    let (_buffer, map) = large_buffer(&Card::open(node)?)?;
    say("ready")?;
    wait_for_parent()?;
    map.to_vec();
    Ok(())
}

fn told() -> Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

fn touch_huge(node: &str) -> Result<()> {
    let create = Create::new(told()?.parse()?, Domains::CPU);
    let buffer = Card::open(node)?.create(create)?;
    let mut map = buffer.map()?;
    map.write(0, &[BYTE]);
    say("touched")?;
    wait_for_parent()
}

fn create_huge(node: &str) -> Result<()> {
    let card = Card::open(node)?;
    let create = Create::new(told()?.parse()?, Domains::VRAM);
    say("ready")?;
    loop {
        card.create(create.flags(CreateFlags::CPU_ACCESS_REQUIRED))?;
    }
}

/// Says the file descriptor of the buffer's dma-buf.
fn move_huge(node: &str) -> Result<()> {
    let card = Card::open(node)?;
    let create = Create::new(told()?.parse()?, Domains::VRAM);
    let buffer = card.create(create.flags(CreateFlags::CPU_ACCESS_REQUIRED))?;
    let mut map = buffer.map()?;
    let len = map.len();
    map.write(len - SIZE, &[BYTE; SIZE]);
    let file = prime::export(&buffer)?;
    say(&file.as_raw_fd().to_string())?;
    wait_for_parent()?;
    say("moving")?;
    buffer.move_to(Domain::Gtt)?;
    say("moved")?;
    wait_for_parent()
}

/// Reads the name of the report first.
fn read_report(node: &str) -> Result<()> {
    let mut name = String::new();
    io::stdin().lock().read_line(&mut name)?;
    let path = gem_list::debugfs_dir(&Card::open(node)?)?.join(name.trim_end());
    say("reading")?;
    loop {
        fs::read(&path).with_context(|| path.display().to_string())?;
    }
}
