// SPDX-License-Identifier: GPL-2.0

//! Starting the engine when the card is bound, and stopping it when it is unbound.

use core::ops::Range;

use kernel::{
    device::{
        Bound,
        Device, //
    },
    devres::Devres,
    io::Io,
    pci,
    prelude::*,
    sync::Arc, //
};

use crate::{
    abstractions::{
        dma::fence::Context,
        msi::Msi, //
    },
    copy_engine::{
        engine::{
            CopyEngine,
            Engine,
            Hw, //
        },
        interrupt::Handler,
        queue::SubmitQueue, //
    },
    hw::{
        regs::*,
        ring::{
            CommandRing,
            InterruptRing, //
        }, //
    }, //
};

impl Engine {
    /// Restores the GART table, sets up the rings and enables the engine. The command ring is
    /// empty.
    pub(super) fn start(&self, queue: &mut SubmitQueue<CopyEngine>, hw: Hw<'_>) -> Result {
        self.gart.recover(hw.parent, |_| Ok(()))?;

        let mut inflight = self.inflight.lock();
        self.aperture
            .bar()
            .write(hw.parent, self.fence, [inflight.completed])?;
        inflight.interrupts.start(hw.regs, self.gmc.vram.start);
        queue.commands.start(hw.regs, self.gmc.vram.start);
        inflight.active = true;
        Ok(())
    }

    /// Stops the engine. The fences of all unfinished jobs are signalled with `ENODEV`.
    fn stop(&self, parent: &Device<Bound>) -> Result {
        let hw = self.hw(parent)?;
        let mut queue = self.queue.lock();

        queue.context = None;
        {
            let mut inflight = self.inflight.lock();

            inflight.active = false;
            InterruptRing::stop(hw.regs);
            if !CommandRing::stop(hw.regs) {
                hw.regs.write_reg(RESET::from_raw(RESET_MAGIC));
            }
            queue.requeue_inflight(&mut inflight.jobs);
        }
        while let Some(job) = queue.waiting.pop_front() {
            job.end(Err(ENODEV));
        }
        Ok(())
    }
}

/// A started engine. Dropping it stops the engine; the fences of unfinished jobs are signalled with
/// `ENODEV`.
pub(crate) struct Running<'a> {
    engine: Arc<CopyEngine>,
    dev: &'a Device<Bound>,
    // Dropped before the context: the interrupt handler must not drop the last reference on it,
    // because that sleeps.
    _msi: Devres<Msi<Handler>>,
    // Dropping the last reference waits until no thread uses the context through a fence.
    _context: Arc<Context<CopyEngine>>,
}

impl<'a> Running<'a> {
    /// Starts the engine of `pdev`. `lost` is called with each page of VRAM that had an
    /// uncorrectable error, as byte offsets.
    ///
    /// # Errors
    ///
    /// Those of [`Msi::new`].
    pub(crate) fn new(
        pdev: &'a pci::Device<Bound>,
        engine: Arc<CopyEngine>,
        lost: KBox<dyn Fn(Range<u64>) + Send + Sync>,
    ) -> Result<Self> {
        let dev = pdev.as_ref();
        let handler = Handler::new(engine.clone(), lost);
        let msi = Msi::new(pdev, c"pddgpu", handler)?;
        let context = Context::new(engine.clone())?;

        {
            let hw = engine.hw(dev)?;
            let mut queue = engine.queue.lock();

            queue.context = Some(context.clone());
            engine.start(&mut queue, hw)?;
        }
        Ok(Self {
            engine,
            dev,
            _msi: msi,
            _context: context,
        })
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let result = Engine::stop(&self.engine, self.dev);

        self.engine.log(result);
    }
}
