// SPDX-License-Identifier: GPL-2.0

//! The command processor: takes packets from the ring, one after another, in steps between which
//! it can be stopped.

use std::time::{Duration, Instant};

use super::addresses::Fault;
use super::reports::{is_ring_size, Source};
use super::Device;
use crate::memory::transfer::{Access, Transfer};
use crate::engine::packet::{BadPacket, Packet, PACKET_LEN};
use crate::regs::register_file::{
    CP_BUSY, CP_CTRL, CP_ERROR, CP_HALT, CP_RING_BASE, CP_RING_RPTR, CP_RING_SIZE, CP_RING_WPTR,
    CP_STATUS, FEATURE_FILL,
};

/// Bytes that are moved in one step: so few that whoever halts or resets the card does not wait.
const CHUNK: u64 = 1 << 20;

/// What the command processor needs next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing, until [`Device::work`] is signalled.
    Idle,
    /// Another step.
    Again,
    /// Another step after this time, or sooner if [`Device::work`] is signalled.
    Pause(Duration),
    /// These transfers, with the same access to memory, and then another step.
    Move(Vec<Transfer>),
}

/// What stops the command processor for good.
enum Stop {
    Bad,
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Fault(fault)
    }
}

impl From<BadPacket> for Stop {
    fn from(_: BadPacket) -> Self {
        Stop::Bad
    }
}

/// What a packet writes.
#[derive(Clone, Copy)]
enum Content {
    /// What is at a GPU address.
    Copied(u64),
    /// A word, over and over.
    Word(u32),
}

/// The COPY or FILL packet that is under way.
struct Job {
    content: Content,
    dst: u64,
    len: u64,
    /// Bytes that have been moved.
    done: u64,
}

/// State of the command processor that no register shows.
#[derive(Default)]
pub struct Command {
    job: Option<Job>,
    /// It does nothing any more until it is reset.
    hung: bool,
    /// What it has done takes until then.
    pause: Option<Instant>,
}

impl Command {
    /// Forgets everything.
    pub(super) fn reset(&mut self) {
        *self = Command::default();
    }
}

impl Device {
    /// Whether the command processor has hung.
    pub fn is_hung(&self) -> bool {
        self.command.hung
    }

    /// What follows from a write to CP_CTRL.
    pub(super) fn control_command(&mut self, was_enabled: bool) {
        let enabled = self.registers.is_enabled(CP_CTRL);
        let halt = self.registers.get(CP_CTRL) & CP_HALT != 0;
        if halt || !enabled {
            self.memory.quiesce();
        }
        if was_enabled && !enabled && !self.command.hung {
            self.command.reset();
            for register in [CP_RING_RPTR, CP_RING_WPTR, CP_STATUS] {
                self.registers.set(register, 0);
            }
        }
        self.wake_command();
    }

    /// Has the command processor look for work.
    pub(super) fn wake_command(&mut self) {
        self.note_busy();
        self.work.notify_all();
    }

    /// Whether there is work that may be done.
    fn has_work(&self) -> bool {
        let running = self.registers.is_enabled(CP_CTRL)
            && self.registers.get(CP_CTRL) & CP_HALT == 0
            && self.registers.get(CP_STATUS) & CP_ERROR == 0;
        running && self.registers.get(CP_RING_RPTR) != self.registers.get(CP_RING_WPTR)
    }

    fn note_busy(&mut self) {
        let status = self.registers.get(CP_STATUS) & !CP_BUSY;
        let busy = self.command.hung || self.has_work();
        let busy = if busy { CP_BUSY } else { 0 };
        self.registers.set(CP_STATUS, status | busy);
    }

    /// Does what can be done with the card locked, and says what to do next.
    ///
    /// Transfers are carried out without the lock, so that the guest can use the registers
    /// meanwhile, but with the `access` under which they were found: it keeps others who hold the
    /// lock from taking the memory away ([`crate::memory::transfer::Memory::quiesce`]).
    pub fn step(&mut self, access: &Access<'_>) -> Step {
        if self.command.hung || !self.has_work() {
            return Step::Idle;
        }
        if let Some(until) = self.command.pause {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Step::Pause(left);
            }
            self.command.pause = None;
        }
        let result = match self.command.job.take() {
            Some(job) => self.advance(access, job),
            None => self.fetch(access),
        };
        let step = result.unwrap_or_else(|stop| {
            self.stop(access, stop);
            Step::Idle
        });
        self.note_busy();
        step
    }

    fn stop(&mut self, access: &Access<'_>, stop: Stop) {
        self.counters.command_errors += 1;
        let status = self.registers.get(CP_STATUS);
        self.registers.set(CP_STATUS, status | CP_ERROR);
        if let Stop::Fault(fault) = stop {
            self.report_fault(access, fault);
        }
        let rptr = self.registers.get(CP_RING_RPTR);
        self.post(access, Source::CommandError, rptr);
    }

    fn hang(&mut self) -> Step {
        self.injections.hang = None;
        self.command.hung = true;
        Step::Idle
    }

    /// Makes what has been done take time.
    fn delay(&mut self, delay: Option<Duration>) {
        self.command.pause = delay.and_then(|delay| Instant::now().checked_add(delay));
    }

    /// Whether the engine is to hang in the packet that comes next or is under way, and after how
    /// many bytes of it.
    fn hangs_after(&self) -> Option<u64> {
        let hang = self.injections.hang.filter(|hang| hang.packets == 0)?;
        Some(hang.bytes)
    }

    /// Takes the next packet from the ring and begins it.
    fn fetch(&mut self, access: &Access<'_>) -> Result<Step, Stop> {
        if self.hangs_after() == Some(0) {
            return Ok(self.hang());
        }
        let size = self.registers.get(CP_RING_SIZE);
        let rptr = self.registers.get(CP_RING_RPTR);
        let wptr = self.registers.get(CP_RING_WPTR);
        if !is_ring_size(size) || wptr % PACKET_LEN != 0 || wptr >= size || rptr >= size {
            return Err(Stop::Bad);
        }
        let address = (self.registers.get(CP_RING_BASE) << 12) + rptr;
        let place = self.resolve_whole(access, address, PACKET_LEN, false)?;
        let mut bytes = access.read(place);
        if self.injections.corrupts() {
            bytes = bytes.map(|byte: u8| !byte);
        }
        let packet = Packet::decode(&bytes, self.registers.has(FEATURE_FILL))?;
        self.delay(self.injections.packet_delay());
        self.begin(access, packet)
    }

    /// Begins a packet, and ends it if it moves no bytes.
    fn begin(&mut self, access: &Access<'_>, packet: Packet) -> Result<Step, Stop> {
        let (content, dst, len) = match packet {
            Packet::Copy { src, dst, len } => {
                if len > 0 {
                    self.check_window(src, len, false)?;
                }
                if src.abs_diff(dst) < len {
                    return Err(Stop::Bad);
                }
                (Content::Copied(src), dst, len)
            }
            Packet::Fill { word, dst, len } => (Content::Word(word), dst, len),
            Packet::Nop | Packet::Fence { .. } if self.hangs_after().is_some() => {
                return Ok(self.hang());
            }
            Packet::Nop => {
                self.counters.packets_nop += 1;
                return Ok(self.retire());
            }
            Packet::Fence { value, dst, post } => {
                let place = self.resolve_whole(access, dst, 8, true)?;
                access.store(place, value);
                self.counters.packets_fence += 1;
                let step = self.retire();
                if post {
                    self.post(access, Source::Fence, value);
                }
                return Ok(step);
            }
        };
        if len > 0 {
            self.check_window(dst, len, true)?;
        }
        self.command.job = Some(Job {
            content,
            dst,
            len,
            done: 0,
        });
        Ok(Step::Again)
    }

    /// Goes on with the packet that is under way.
    fn advance(&mut self, access: &Access<'_>, mut job: Job) -> Result<Step, Stop> {
        let mut len = (job.len - job.done).min(CHUNK);
        if let Some(bytes) = self.hangs_after() {
            len = len.min(bytes.saturating_sub(job.done));
            if len == 0 {
                return Ok(self.hang());
            }
        }
        if len == 0 {
            match job.content {
                Content::Copied(_) => self.counters.packets_copy += 1,
                Content::Word(_) => self.counters.packets_fill += 1,
            }
            return Ok(self.retire());
        }

        let (transfers, moved) = self.plan(access, &job, len)?;
        match job.content {
            Content::Copied(_) => self.counters.bytes_copied += moved,
            Content::Word(_) => self.counters.bytes_filled += moved,
        }
        job.done += moved;
        self.delay(self.injections.delay_of(moved));
        self.command.job = Some(job);
        Ok(Step::Move(transfers))
    }

    /// The transfers for the next `len` bytes of a packet, or for those that come before a fault,
    /// and how many bytes that are. Only a fault of the very first byte is an error: so all that
    /// comes before a fault is moved, and the fault is what is found next.
    fn plan(
        &mut self,
        access: &Access<'_>,
        job: &Job,
        len: u64,
    ) -> Result<(Vec<Transfer>, u64), Fault> {
        let mut transfers = Vec::new();
        let mut moved = 0;
        while moved < len {
            match self.plan_run(access, job, job.done + moved, len - moved) {
                Ok((transfer, run)) => {
                    transfers.push(transfer);
                    moved += run;
                }
                Err(fault) if moved == 0 => return Err(fault),
                Err(_) => break,
            }
        }
        Ok((transfers, moved))
    }

    /// The transfer of the longest run `at` bytes into a packet, at most `len` bytes, and its
    /// length.
    fn plan_run(
        &mut self,
        access: &Access<'_>,
        job: &Job,
        at: u64,
        len: u64,
    ) -> Result<(Transfer, u64), Fault> {
        match job.content {
            Content::Copied(src) => {
                let (src, len) = self.resolve(access, src + at, len, false)?;
                let (dst, len) = self.resolve(access, job.dst + at, len, true)?;
                Ok((Transfer::Copy { src, dst, len }, len))
            }
            Content::Word(word) => {
                let (dst, len) = self.resolve(access, job.dst + at, len, true)?;
                // A run that begins within a word begins with the rest of it.
                let word = word.rotate_right(8 * (at % 4) as u32);
                Ok((Transfer::Fill { word, dst, len }, len))
            }
        }
    }

    /// Ends a packet.
    fn retire(&mut self) -> Step {
        let size = self.registers.get(CP_RING_SIZE);
        let rptr = self.registers.get(CP_RING_RPTR) + PACKET_LEN;
        self.registers
            .set(CP_RING_RPTR, if rptr >= size { 0 } else { rptr });
        if let Some(hang) = &mut self.injections.hang {
            hang.packets = hang.packets.saturating_sub(1);
        }
        Step::Again
    }
}
