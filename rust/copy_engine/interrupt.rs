// SPDX-License-Identifier: GPL-2.0

//! Interrupts of the card: what is done at once, and what is left to the interrupt's thread.

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
    /// Retires, in interrupt context, what the engine has finished. Returns whether there is more to do in
    /// [`handle_rest`](Self::handle_rest): there is if the card reports anything but fences, or if the submit
    /// queue waits for room that there is now.
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

    /// Handles, in the interrupt's thread, all that the card reports, and submits what there is room for now.
    /// Returns the VRAM offset at which content was lost.
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

/// The handler of the card's interrupt.
pub(super) struct Handler {
    engine: Arc<CopyEngine>,
    lost: KBox<dyn Fn(Range<u64>) + Send + Sync>,
}

impl Handler {
    /// A handler that calls `lost` with each page of VRAM that has lost its content, in bytes from the start
    /// of VRAM.
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

        // What fails here fails again in the thread, which logs it.
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
