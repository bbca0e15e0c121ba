// SPDX-License-Identifier: GPL-2.0

//! What the kernel says while a test runs.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    time::Instant,
};

use anyhow::{bail, ensure, Context, Result};
use rustix::{
    event::{poll, PollFd, PollFlags, Timespec},
    fs::OFlags,
    io::Errno,
};

use crate::support::patience::PATIENCE;

/// What only a bug makes the kernel say.
const ALARMS: [&str; 13] = [
    "WARNING:",
    "BUG:",
    "BUG at",
    "Oops",
    "cut here",
    "Call Trace",
    "general protection",
    "refcount_t",
    "possible recursive locking",
    "possible circular locking",
    "inconsistent lock state",
    "UBSAN",
    "INFO: task",
];

/// The level of errors, as in `dev_err()`.
const ERR: u32 = 3;

/// The kernel's log from some moment on.
pub struct Log {
    file: File,
}

/// One message.
pub struct Message {
    pub level: u32,
    pub text: String,
}

impl Log {
    /// Starts to listen.
    pub fn from_now() -> Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open("/dev/kmsg")
            .context("/dev/kmsg")?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file })
    }

    /// Takes what was said since the last call.
    pub fn take(&mut self) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        let mut record = [0; 8192];
        loop {
            match self.file.read(&mut record) {
                Ok(len) => messages.push(Message::parse(&record[..len])?),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(messages),
                // The ring went round; what is left is still worth a look.
                Err(e) if Errno::from_io_error(&e) == Some(Errno::PIPE) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Waits until something with `text` in it is said for the `count`th time, and takes all such lines,
    /// those said before this call and not taken yet among them; fails if it takes too long, or for
    /// any alarm.
    pub fn wait_for(&mut self, text: &str, count: usize) -> Result<Vec<String>> {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = Vec::new();
        loop {
            let messages = self.take()?;
            fail_on_alarms(&messages)?;
            let texts = messages.into_iter().map(|message| message.text);
            lines.extend(texts.filter(|line| line.contains(text)));
            if lines.len() >= count {
                return Ok(lines);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(
                !left.is_zero(),
                "waited for {count} lines with '{text}': {lines:#?}"
            );
            let mut files = [PollFd::new(&self.file, PollFlags::IN)];
            poll(&mut files, Some(&Timespec::try_from(left)?))?;
        }
    }

    /// Takes the errors that were said since the last call, and fails for any alarm.
    pub fn errors(&mut self) -> Result<Vec<String>> {
        let messages = self.take()?;
        fail_on_alarms(&messages)?;
        Ok(messages
            .into_iter()
            .filter(|m| m.level <= ERR)
            .map(|m| m.text)
            .collect())
    }
}

/// Whether the stack in the message at this place is that of `kmem_cache_create()`, which shows its
/// caller if it gets no memory.
fn is_no_cache(messages: &[Message], at: usize) -> bool {
    messages[at].text.contains("Call Trace")
        && messages[at.saturating_sub(5)..at]
            .iter()
            .any(|m| m.text.starts_with("__kmem_cache_create_args("))
}

/// Fails if a message tells of a bug.
pub fn fail_on_alarms(messages: &[Message]) -> Result<()> {
    let alarm = |m: &Message| ALARMS.iter().any(|alarm| m.text.contains(alarm));
    let is_bug = |&at: &usize| alarm(&messages[at]) && !is_no_cache(messages, at);
    if let Some(first) = (0..messages.len()).find(is_bug) {
        let lines: Vec<_> = messages[first..].iter().map(|m| m.text.as_str()).collect();
        bail!("the kernel's log tells of a bug:\n{}", lines.join("\n"));
    }
    Ok(())
}

impl Message {
    /// Reads `PRIORITY,SEQUENCE,TIME,FLAGS;TEXT`, below which there may be more lines of details.
    fn parse(record: &[u8]) -> Result<Self> {
        let record = String::from_utf8_lossy(record);
        let (head, text) = record
            .split_once(';')
            .context("no message of the kernel's log")?;
        let priority: u32 = head.split(',').next().unwrap_or_default().parse()?;
        let text = text.lines().next().unwrap_or_default().to_owned();
        Ok(Self {
            level: priority & 7,
            text,
        })
    }
}
