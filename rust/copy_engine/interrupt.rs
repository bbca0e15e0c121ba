// SPDX-License-Identifier: GPL-2.0

//! The interrupt handler: its hard part, which signals fences, and its thread, which does the rest.

use kernel::{
    device::{
        Bound,
        Device, //
    },
    io::Io,
    irq::ThreadedIrqReturn,
    list::List,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    }, //
};

use crate::{
    abstractions::{
        dma::fence::Signalling,
        msi, //
    },
    copy_engine::{
        engine::{
            CopyEngine,
            Engine,
            Hw, //
        },
        queue::{
            Power,
            SubmitQueue, //
        }, //
    },
    hw::regs::*, //
};

/// Errors that are taken out of the interrupt ring at a time.
const BATCH: usize = 16;

/// What the interrupt thread found in the interrupt ring.
#[derive(Default)]
struct Found {
    /// VRAM offsets of uncorrectable errors, of which the first `num_lost` count.
    lost: [u64; BATCH],
    num_lost: usize,
    /// GPU addresses that an engine faulted at.
    faults: u64,
    /// The first of them.
    fault: u64,
    /// Errors at offsets that are not in VRAM.
    wild: u64,
    /// Whether the command processor stopped with an error.
    failed: bool,
    /// Whether an error hit the VRAM that the driver uses itself.
    own: bool,
    /// Whether the ring has more.
    rest: bool,
}

impl Found {
    fn lost(&self) -> &[u64] {
        &self.lost[..self.num_lost]
    }

    /// Notes an error at a VRAM offset. `own` is the VRAM that the driver uses itself.
    fn add_lost(&mut self, offset: u64, own: u64, vram_size: u64) {
        if offset >= vram_size {
            self.wild += 1;
        } else if offset < own {
            self.own = true;
        } else if let Some(next) = self.lost.get_mut(self.num_lost) {
            *next = offset;
            self.num_lost += 1;
        }
    }

    /// Notes an entry of the ring. Returns `false` for one that has to stay in the ring for now.
    fn add(&mut self, entry: Interrupt, own: u64, vram_size: u64) -> bool {
        // One place stays free for the error that the registers tell of.
        if self.num_lost + 1 >= BATCH {
            return false;
        }
        match entry {
            Interrupt::Fence | Interrupt::Unknown => (),
            Interrupt::CommandError(_) => self.failed = true,
            Interrupt::GartFault(address) => {
                if self.faults == 0 {
                    self.fault = address;
                }
                self.faults += 1;
            }
            Interrupt::Ecc(offset) => self.add_lost(offset, own, vram_size),
        }
        true
    }
}

impl Engine {
    /// The hard interrupt handler: signals the fences of the jobs that have ended. The thread has to
    /// run, which calls [`handle_rest`](Self::handle_rest), if the interrupt ring has an entry that
    /// is no fence, or if submission can continue.
    fn handle_urgent(&self, hw: Hw<'_>) -> Result<ThreadedIrqReturn> {
        let mut retired = List::new();
        let mut inflight = self.inflight.lock();

        if !inflight.active {
            return Ok(ThreadedIrqReturn::None);
        }
        let drained =
            inflight
                .interrupts
                .drain_while(hw.regs, self.aperture.bar(), hw.parent, |entry| {
                    matches!(entry, Interrupt::Fence)
                })?;
        let made_progress = self.retire(&mut inflight, hw, &mut retired)?;
        let can_go_on = inflight.stalled || inflight.clients_wait;

        drop(inflight);
        Ok(
            if drained.rest || drained.overflow || made_progress && can_go_on {
                ThreadedIrqReturn::WakeThread
            } else if drained.any || made_progress {
                ThreadedIrqReturn::Handled
            } else {
                ThreadedIrqReturn::None
            },
        )
    }

    /// The interrupt thread: handles entries of the interrupt ring, and continues submission or
    /// recovers from an error.
    fn handle_rest(&self, queue: &mut SubmitQueue<CopyEngine>, hw: Hw<'_>) -> Result<Found> {
        let mut retired = List::new();
        let mut found = Found::default();

        {
            let mut inflight = self.inflight.lock();
            let vram_size = self.gmc.vram_size();
            let drained = inflight.interrupts.drain_while(
                hw.regs,
                self.aperture.bar(),
                hw.parent,
                |entry| found.add(entry, self.own, vram_size),
            )?;

            found.rest = drained.rest;
            // The newest error is in a register, also if its entry was lost. The flag is cleared
            // first: an error after that has an entry again.
            if (drained.overflow || found.num_lost > 0) && hw.regs.read(ECC_STATUS).pending() {
                hw.regs.write_reg(ECC_STATUS::zeroed().with_pending(true));
                let newest = hw.regs.try_read(ECC_ADDR)?.into_raw();

                if !found.lost().contains(&newest) {
                    found.add_lost(newest, self.own, vram_size);
                }
            }
            self.retire(&mut inflight, hw, &mut retired)?;
        }

        self.report(&found);
        if found.faults > 0 {
            self.counters.faults.add(found.faults, Relaxed);
            hw.regs
                .write_reg(GART_FAULT_STATUS::zeroed().with_valid(true));
        }
        if found.own {
            // The driver has a copy of its GART table, and the rings are made anew.
            self.recover(queue, hw, fmt!("memory error in the driver's own VRAM"))?;
        } else if found.failed && hw.regs.read(CP_STATUS).error() {
            self.recover(queue, hw, fmt!("error"))?;
        } else {
            self.fill_ring(queue, hw)?;
        }
        Ok(found)
    }

    /// Logs what was found, as far as nobody else does.
    fn report(&self, found: &Found) {
        if found.faults == 0 && found.wild == 0 || !self.log_limit.allows(c"pddgpu: interrupts") {
            return;
        }
        if found.faults > 0 {
            dev_err!(
                self.dev,
                "fault at GPU address {:#x}, and {} more\n",
                found.fault,
                found.faults - 1
            );
        }
        if found.wild > 0 {
            dev_err!(
                self.dev,
                "{} memory errors reported that are not in VRAM\n",
                found.wild
            );
        }
    }
}

/// The interrupt handler.
pub(super) struct Handler {
    engine: Arc<CopyEngine>,
}

impl Handler {
    /// The handler of an engine.
    pub(super) fn new(engine: Arc<CopyEngine>) -> Self {
        Self { engine }
    }
}

impl Handler {
    /// Handles what is in the interrupt ring, up to [`BATCH`] memory errors. Returns whether there is
    /// more.
    fn handle_batch(&self, parent: &Device<Bound>) -> Result<bool> {
        let engine = &self.engine;
        let found = {
            let hw = engine.hw(parent)?;
            let _signalling = Signalling::begin();
            let mut queue = engine.queue.lock();

            if queue.context.is_none() || queue.power == Power::Off {
                return Ok(false);
            }
            engine.handle_rest(&mut queue, hw)?
        };

        for offset in found.lost() {
            let start = offset & !(PAGE_SIZE as u64 - 1);

            engine.tell(|listener| listener.page_lost(start..start + PAGE_SIZE as u64));
        }
        engine.tell_what_happened();
        Ok(found.rest)
    }
}

impl msi::Handler for Handler {
    fn handle_now(&self, parent: &Device<Bound>) -> ThreadedIrqReturn {
        let engine = &self.engine;

        // After an error the thread runs, fails in the same way, and logs it.
        engine
            .hw(parent)
            .and_then(|hw| engine.handle_urgent(hw))
            .unwrap_or(ThreadedIrqReturn::WakeThread)
    }

    fn handle(&self, parent: &Device<Bound>) {
        loop {
            match self.handle_batch(parent) {
                Ok(true) => (),
                Ok(false) => return,
                Err(err) => return self.engine.log(Err(err)),
            }
        }
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/copy_engine/interrupt.rs"]
mod kunit;
