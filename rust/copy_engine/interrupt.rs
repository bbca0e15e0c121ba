// SPDX-License-Identifier: GPL-2.0

//! The interrupt handler: its hard part, which signals fences, and its thread, which does the rest.

use core::ops::Range;

use kernel::{
    device::{
        Bound,
        Device, //
    },
    io::Io,
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
        queue::SubmitQueue, //
    },
    hw::regs::*, //
};

impl Engine {
    /// The hard interrupt handler: signals the fences of the jobs that have ended. Returns whether
    /// the thread has to run, which calls [`handle_rest`](Self::handle_rest): if the interrupt ring
    /// has an entry that is no fence, or if submission can continue.
    fn handle_urgent(&self, hw: Hw<'_>) -> Result<bool> {
        let mut retired = List::new();
        let mut inflight = self.inflight.lock();

        if !inflight.active {
            return Ok(false);
        }
        let all =
            inflight
                .interrupts
                .drain_while(hw.regs, self.aperture.bar(), hw.parent, |entry| {
                    matches!(entry, Interrupt::Fence)
                })?;
        let made_progress = self.retire(&mut inflight, hw, &mut retired)?;
        let more = !all || made_progress && inflight.stalled;

        drop(inflight);
        Ok(more)
    }

    /// The interrupt thread: handles all entries of the interrupt ring, and continues submission or
    /// recovers from an error. Returns the VRAM offset of an uncorrectable error, if there was one.
    fn handle_rest(&self, queue: &mut SubmitQueue<CopyEngine>, hw: Hw<'_>) -> Result<Option<u64>> {
        let mut retired = List::new();
        let mut lost = None;
        let mut failed = false;

        {
            let mut inflight = self.inflight.lock();

            inflight
                .interrupts
                .drain_while(hw.regs, self.aperture.bar(), hw.parent, |entry| {
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
            self.retire(&mut inflight, hw, &mut retired)?;
        }

        if failed && hw.regs.read(CP_STATUS).error() {
            self.recover(queue, hw, fmt!("error"))?;
        } else {
            self.fill_ring(queue, hw)?;
        }
        Ok(lost)
    }
}

/// The interrupt handler.
pub(super) struct Handler {
    engine: Arc<CopyEngine>,
    lost: KBox<dyn Fn(Range<u64>) + Send + Sync>,
}

impl Handler {
    /// A handler that calls `lost` with each page of VRAM that had an uncorrectable error, as byte
    /// offsets.
    pub(super) fn new(
        engine: Arc<CopyEngine>,
        lost: KBox<dyn Fn(Range<u64>) + Send + Sync>,
    ) -> Self {
        Self { engine, lost }
    }
}

impl msi::Handler for Handler {
    fn handle_now(&self, parent: &Device<Bound>) -> bool {
        let engine = &self.engine;

        // After an error the thread runs, fails in the same way, and logs it.
        engine
            .hw(parent)
            .and_then(|hw| engine.handle_urgent(hw))
            .unwrap_or(true)
    }

    fn handle(&self, parent: &Device<Bound>) {
        let engine = &self.engine;
        let result = engine.hw(parent).and_then(|hw| {
            let _signalling = Signalling::begin();
            let mut queue = engine.queue.lock();

            match queue.context {
                Some(_) => engine.handle_rest(&mut queue, hw),
                None => Ok(None),
            }
        });

        if let Ok(Some(offset)) = result {
            let start = offset & !(PAGE_SIZE as u64 - 1);

            (self.lost)(start..start + PAGE_SIZE as u64);
        }
        engine.log(result.map(|_| ()));
    }
}
