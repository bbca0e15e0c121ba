// SPDX-License-Identifier: GPL-2.0

//! What the engine was told and has not ended, and what becomes of it when the card interrupts.

use kernel::{
    io::Io,
    list::List,
    prelude::*,
    sync::atomic::Relaxed, //
};

use super::{
    job::{
        Job,
        Work, //
    },
    ring::InterruptRing,
    state::State,
    Engine,
    Hw, //
};
use crate::{
    gmc::Carveout,
    hw::*, //
};

/// How far the engine is with what it was told.
pub(super) struct Flight {
    /// Whether the card may be asked when it interrupts.
    pub(super) active: bool,
    pub(super) interrupts: InterruptRing,
    /// Jobs of which the engine knows all.
    pub(super) jobs: List<Job>,
    /// Number of the last fence packet in the ring.
    pub(super) seqno: u64,
    /// Number of the last one that was reached.
    pub(super) completed: u64,
    /// When the last job ended, in ns.
    last_end: i64,
    /// Whether there is more to tell the engine, for which there was no room.
    pub(super) stalled: bool,
}

impl Flight {
    /// Of an engine that is not started, with `carveout` for its own.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a ring that is too large.
    pub(super) fn new(carveout: &Carveout) -> Result<Self> {
        Ok(Self {
            active: false,
            interrupts: InterruptRing::new(&carveout.interrupts)?,
            jobs: List::new(),
            seqno: 0,
            completed: 0,
            last_end: 0,
            stalled: false,
        })
    }
}

impl Engine {
    /// Signals the fences of what the engine has finished, and moves it to `ended`, to be dropped without
    /// the lock; tells whether the engine has got on.
    pub(super) fn retire(
        &self,
        flight: &mut Flight,
        hw: Hw<'_>,
        ended: &mut List<Job>,
    ) -> Result<bool> {
        let completed = self.aperture.read(hw.parent, self.fence)?;

        if !(flight.completed + 1..=flight.seqno).contains(&completed) {
            return Ok(false);
        }
        flight.completed = completed;

        let now = self.stats.now();
        let mut cursor = flight.jobs.cursor_front();
        while let Some(next) = cursor.peek_next() {
            if next.last.load(Relaxed) > completed {
                break;
            }
            let job = next.remove();

            // The engine does one job at a time: what it did not begin yet was queued.
            let begun = job.begun.load(Relaxed).max(flight.last_end);
            flight.last_end = now;
            self.count(&job, now - begun);
            job.end(Ok(()));
            ended.push_back(job);
        }
        Ok(true)
    }

    fn count(&self, job: &Job, ns: i64) {
        let (count, bytes) = match &job.work {
            Work::Copy { .. } => {
                self.stats.moved_by_engine(ns);
                (&self.counters.copies, &self.counters.copied)
            }
            Work::Clear { .. } => (&self.counters.clears, &self.counters.cleared),
        };

        count.add(1, Relaxed);
        bytes.add(job.work.bytes(), Relaxed);
    }

    /// Sees, in interrupt context, to what has ended. Tells whether there is more to see to, for
    /// [`interrupt`](Self::interrupt): there is if the card has more to say or can be told more.
    pub(super) fn interrupt_now(&self, hw: Hw<'_>) -> Result<bool> {
        let mut ended = List::new();
        let mut flight = self.flight.lock();

        if !flight.active {
            return Ok(false);
        }
        let all = flight
            .interrupts
            .drain_while(hw.regs, &self.aperture, hw.parent, |entry| {
                matches!(entry, Interrupt::Fence)
            })?;
        let got_on = self.retire(&mut flight, hw, &mut ended)?;
        let more = !all || got_on && flight.stalled;

        drop(flight);
        Ok(more)
    }

    /// Sees to what the card has to say, and tells it more. Tells where VRAM lost its content.
    pub(super) fn interrupt(&self, state: &mut State, hw: Hw<'_>) -> Result<Option<u64>> {
        let mut ended = List::new();
        let mut lost = None;
        let mut failed = false;

        {
            let mut flight = self.flight.lock();

            flight
                .interrupts
                .drain_while(hw.regs, &self.aperture, hw.parent, |entry| {
                    match entry {
                        Interrupt::Fence | Interrupt::Unknown => (),
                        Interrupt::CommandError(_) => failed = true,
                        Interrupt::GartFault(address) => {
                            self.counters.faults.add(1, Relaxed);
                            hw.regs
                                .write_reg(GART_FAULT_STATUS::zeroed().with_valid(true));
                            dev_err!(self.dev, "fault at GPU address {:#x}\n", address);
                        }
                        Interrupt::Ecc(offset) => {
                            hw.regs.write_reg(ECC_STATUS::zeroed().with_pending(true));
                            lost = Some(offset);
                        }
                    }
                    true
                })?;
            self.retire(&mut flight, hw, &mut ended)?;
        }

        if failed && hw.regs.read(CP_STATUS).error() {
            self.recover(state, hw, fmt!("error"))?;
        } else {
            self.advance(state, hw)?;
        }
        Ok(lost)
    }
}
