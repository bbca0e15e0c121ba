// SPDX-License-Identifier: GPL-2.0

//! The command processor: takes packets from the ring, one after another, in steps between which
//! it can be stopped.

use std::time::{Duration, Instant};

use crate::engine::interrupt_ring::{is_ring_size, Source};
use crate::engine::memory_controller::Fault;
use crate::engine::packet::{BadPacket, Packet, PACKET_LEN};
use crate::engine::parts::Parts;
use crate::memory::transfer::{Access, Transfer};
use crate::regs::table::{
    CP_BUSY, CP_CTRL, CP_ERROR, CP_HALT, CP_RING_BASE, CP_RING_RPTR, CP_RING_SIZE, CP_RING_WPTR,
    CP_STATUS, ENABLE, FEATURE_FILL,
};

/// Bytes that are moved in one step: so few that whoever halts or resets the card does not wait.
const CHUNK: u64 = 1 << 20;

/// What the command processor needs next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing, until `Device::work` is signalled.
    Idle,
    /// Another step.
    Again,
    /// Another step after this time, or sooner if `Device::work` is signalled.
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

/// The command processor: the state of it that no register shows.
#[derive(Default)]
pub struct CommandProcessor {
    job: Option<Job>,
    /// It does nothing any more until it is reset.
    hung: bool,
    /// What it has done takes until then.
    pause: Option<Instant>,
}

impl CommandProcessor {
    /// Forgets everything.
    pub fn reset(&mut self) {
        *self = CommandProcessor::default();
    }

    /// Whether it has hung.
    pub fn is_hung(&self) -> bool {
        self.hung
    }

    /// What follows from a write to CP_CTRL.
    pub fn control(&mut self, parts: &mut Parts<'_>, was_enabled: bool) {
        Self::defy(parts, was_enabled);
        let enabled = parts.registers.is_enabled(CP_CTRL);
        let halt = parts.registers.get(CP_CTRL) & CP_HALT != 0;
        if halt || !enabled {
            parts.memory.quiesce();
        }
        if was_enabled && !enabled && !self.hung {
            self.reset();
            for register in [CP_RING_RPTR, CP_RING_WPTR, CP_STATUS] {
                parts.registers.set(register, 0);
            }
        }
        self.update_busy(parts);
    }

    /// Takes an order to stop back if the card is one that ignores it. The register shows so.
    fn defy(parts: &mut Parts<'_>, was_enabled: bool) {
        let control = parts.registers.get(CP_CTRL);
        let stops = control & ENABLE == 0 || control & CP_HALT != 0;
        if was_enabled && stops && parts.hostile.ignores_stop(&mut parts.counters.lies) {
            parts.registers.set(CP_CTRL, ENABLE);
        }
    }

    /// Whether there is work that may be done.
    fn has_work(parts: &Parts<'_>) -> bool {
        let running = parts.registers.is_enabled(CP_CTRL)
            && parts.registers.get(CP_CTRL) & CP_HALT == 0
            && parts.registers.get(CP_STATUS) & CP_ERROR == 0;
        running && parts.registers.get(CP_RING_RPTR) != parts.registers.get(CP_RING_WPTR)
    }

    /// Updates the bit of CP_STATUS that says whether it is busy.
    pub fn update_busy(&self, parts: &mut Parts<'_>) {
        let status = parts.registers.get(CP_STATUS) & !CP_BUSY;
        let busy = self.hung || Self::has_work(parts);
        let busy = if busy { CP_BUSY } else { 0 };
        parts.registers.set(CP_STATUS, status | busy);
    }

    /// Does what can be done with the card locked, and returns what to do next.
    pub fn step(&mut self, parts: &mut Parts<'_>, access: &Access<'_>) -> Step {
        if self.hung || !Self::has_work(parts) {
            return Step::Idle;
        }
        if let Some(until) = self.pause {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Step::Pause(left);
            }
            self.pause = None;
        }
        let result = match self.job.take() {
            Some(job) => self.advance(parts, access, job),
            None => self.fetch(parts, access),
        };
        let step = result.unwrap_or_else(|stop| {
            self.stop(parts, access, stop);
            Step::Idle
        });
        self.update_busy(parts);
        step
    }

    fn stop(&mut self, parts: &mut Parts<'_>, access: &Access<'_>, stop: Stop) {
        parts.counters.command_errors += 1;
        let status = parts.registers.get(CP_STATUS);
        parts.registers.set(CP_STATUS, status | CP_ERROR);
        if let Stop::Fault(fault) = stop {
            parts.report_fault(access, fault);
        }
        let rptr = parts.registers.get(CP_RING_RPTR);
        parts.post(access, Source::CommandError, rptr);
    }

    fn hang(&mut self, parts: &mut Parts<'_>) -> Step {
        parts.injections.hang = None;
        self.hung = true;
        Step::Idle
    }

    /// Makes what has been done take time.
    fn delay(&mut self, delay: Option<Duration>) {
        self.pause = delay.and_then(|delay| Instant::now().checked_add(delay));
    }

    /// Whether the engine is to hang in the packet that comes next or is under way, and after how
    /// many bytes of it.
    fn hangs_after(parts: &Parts<'_>) -> Option<u64> {
        let hang = parts.injections.hang.filter(|hang| hang.packets == 0)?;
        Some(hang.bytes)
    }

    /// Takes the next packet from the ring and begins it.
    fn fetch(&mut self, parts: &mut Parts<'_>, access: &Access<'_>) -> Result<Step, Stop> {
        if Self::hangs_after(parts) == Some(0) {
            return Ok(self.hang(parts));
        }
        let size = parts.registers.get(CP_RING_SIZE);
        let rptr = parts.registers.get(CP_RING_RPTR);
        let wptr = parts.registers.get(CP_RING_WPTR);
        if !is_ring_size(size) || wptr % PACKET_LEN != 0 || wptr >= size || rptr >= size {
            return Err(Stop::Bad);
        }
        let address = (parts.registers.get(CP_RING_BASE) << 12) + rptr;
        let place = parts.resolve_whole(access, address, PACKET_LEN, false)?;
        let mut bytes = access.read(place);
        if parts.injections.corrupts() {
            bytes = bytes.map(|byte: u8| !byte);
        }
        let packet = Packet::decode(&bytes, parts.registers.has(FEATURE_FILL))?;
        self.delay(parts.injections.packet_delay());
        self.begin(parts, access, packet)
    }

    /// Begins a packet, and ends it if it moves no bytes.
    fn begin(
        &mut self,
        parts: &mut Parts<'_>,
        access: &Access<'_>,
        packet: Packet,
    ) -> Result<Step, Stop> {
        let (content, dst, len) = match packet {
            Packet::Copy { src, dst, len } => {
                if len > 0 {
                    parts.check_window(src, len, false)?;
                }
                if src.abs_diff(dst) < len {
                    return Err(Stop::Bad);
                }
                (Content::Copied(src), dst, len)
            }
            Packet::Fill { word, dst, len } => (Content::Word(word), dst, len),
            Packet::Nop | Packet::Fence { .. } if Self::hangs_after(parts).is_some() => {
                return Ok(self.hang(parts));
            }
            Packet::Nop => {
                parts.counters.packets_nop += 1;
                return Ok(Self::retire(parts));
            }
            Packet::Fence { value, dst, post } => {
                let place = parts.resolve_whole(access, dst, 8, true)?;
                let lie = parts.hostile.fence(value, &mut parts.counters.lies);
                if let Some((wild, _)) = lie {
                    access.store(place, wild);
                    if post {
                        parts.post(access, Source::Fence, wild);
                    }
                }
                if !lie.is_some_and(|(_, stays)| stays) {
                    access.store(place, value);
                }
                parts.counters.packets_fence += 1;
                let step = Self::retire(parts);
                if post {
                    parts.post(access, Source::Fence, value);
                }
                return Ok(step);
            }
        };
        if len > 0 {
            parts.check_window(dst, len, true)?;
        }
        self.job = Some(Job {
            content,
            dst,
            len,
            done: 0,
        });
        Ok(Step::Again)
    }

    /// Goes on with the packet that is under way.
    fn advance(
        &mut self,
        parts: &mut Parts<'_>,
        access: &Access<'_>,
        mut job: Job,
    ) -> Result<Step, Stop> {
        let mut len = (job.len - job.done).min(CHUNK);
        if let Some(bytes) = Self::hangs_after(parts) {
            len = len.min(bytes.saturating_sub(job.done));
            if len == 0 {
                return Ok(self.hang(parts));
            }
        }
        if len == 0 {
            match job.content {
                Content::Copied(_) => parts.counters.packets_copy += 1,
                Content::Word(_) => parts.counters.packets_fill += 1,
            }
            return Ok(Self::retire(parts));
        }

        let (transfers, moved) = self.plan(parts, access, &job, len)?;
        match job.content {
            Content::Copied(_) => parts.counters.bytes_copied += moved,
            Content::Word(_) => parts.counters.bytes_filled += moved,
        }
        job.done += moved;
        self.delay(parts.injections.delay_of(moved));
        self.job = Some(job);
        Ok(Step::Move(transfers))
    }

    /// The transfers for the next `len` bytes of a packet, or for those that come before a fault,
    /// and how many bytes that are. Only a fault of the very first byte is an error: so all that
    /// comes before a fault is moved, and the fault is what is found next.
    fn plan(
        &mut self,
        parts: &mut Parts<'_>,
        access: &Access<'_>,
        job: &Job,
        len: u64,
    ) -> Result<(Vec<Transfer>, u64), Fault> {
        let mut transfers = Vec::new();
        let mut moved = 0;
        while moved < len {
            match self.plan_run(parts, access, job, job.done + moved, len - moved) {
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
        parts: &mut Parts<'_>,
        access: &Access<'_>,
        job: &Job,
        at: u64,
        len: u64,
    ) -> Result<(Transfer, u64), Fault> {
        match job.content {
            Content::Copied(src) => {
                let (src, len) = parts.resolve(access, src + at, len, false)?;
                let (dst, len) = parts.resolve(access, job.dst + at, len, true)?;
                Ok((Transfer::Copy { src, dst, len }, len))
            }
            Content::Word(word) => {
                let (dst, len) = parts.resolve(access, job.dst + at, len, true)?;
                // A run that begins within a word begins with the rest of it.
                let word = word.rotate_right(8 * (at % 4) as u32);
                Ok((Transfer::Fill { word, dst, len }, len))
            }
        }
    }

    /// Ends a packet.
    fn retire(parts: &mut Parts<'_>) -> Step {
        let size = parts.registers.get(CP_RING_SIZE);
        let rptr = parts.registers.get(CP_RING_RPTR) + PACKET_LEN;
        parts
            .registers
            .set(CP_RING_RPTR, if rptr >= size { 0 } else { rptr });
        if let Some(hang) = &mut parts.injections.hang {
            hang.packets = hang.packets.saturating_sub(1);
        }
        Step::Again
    }
}
