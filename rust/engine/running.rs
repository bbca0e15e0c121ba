// SPDX-License-Identifier: GPL-2.0

//! The engine while its card is bound: started, interrupting, stopped.

use core::ops::Range;

use kernel::{
    device::{
        Bound,
        Device, //
    },
    devres::Devres,
    io::Io,
    page::PAGE_SIZE,
    pci,
    prelude::*,
    sync::Arc, //
};

use super::{
    ring::{
        CommandRing,
        InterruptRing, //
    },
    CopyEngine,
    Engine, //
};
use crate::{
    dma::fence::{
        Context,
        Signalling, //
    },
    hw::*,
    sys::irq::{
        self,
        Msi, //
    }, //
};

impl Engine {
    /// Ends all work.
    fn stop(&self, parent: &Device<Bound>) -> Result {
        let hw = self.hw(parent)?;
        let mut state = self.state.lock();

        state.context = None;
        {
            let mut flight = self.flight.lock();

            flight.active = false;
            InterruptRing::stop(hw.regs);
            if !CommandRing::stop(hw.regs) {
                hw.regs.write_reg(RESET::from_raw(RESET_MAGIC));
            }
            state.begin_again(&mut flight.jobs);
        }
        while let Some(job) = state.waiting.pop_front() {
            job.end(Err(ENODEV));
        }
        Ok(())
    }
}

/// An engine at work; dropping it ends that. The fences of what it had not finished end with `ENODEV`.
pub(crate) struct Running<'a> {
    engine: Arc<CopyEngine>,
    dev: &'a Device<Bound>,
    // Goes before the context, of which an interrupt must not drop the last reference.
    _msi: Devres<Msi<Handler>>,
    // Waits for those who still look at fences.
    _context: Arc<Context<CopyEngine>>,
}

impl<'a> Running<'a> {
    /// Starts the engine of `pdev`. `lost` is told where VRAM has lost its content.
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
        let handler = Handler {
            engine: engine.clone(),
            lost,
        };
        let msi = Msi::new(pdev, c"pddgpu", handler)?;
        let context = Context::new(engine.clone())?;

        {
            let hw = engine.hw(dev)?;
            let mut state = engine.state.lock();

            state.context = Some(context.clone());
            engine.start(&mut state, hw)?;
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

/// What is done on an interrupt.
struct Handler {
    engine: Arc<CopyEngine>,
    lost: KBox<dyn Fn(Range<u64>) + Send + Sync>,
}

impl irq::Handler for Handler {
    fn handle_now(&self, parent: &Device<Bound>) -> bool {
        let engine = &self.engine;

        // What fails here fails in the thread, which says so.
        engine
            .hw(parent)
            .and_then(|hw| engine.interrupt_now(hw))
            .unwrap_or(true)
    }

    fn handle(&self, parent: &Device<Bound>) {
        let engine = &self.engine;
        let result = engine.hw(parent).and_then(|hw| {
            let _signalling = Signalling::begin();
            let mut state = engine.state.lock();

            match state.context {
                Some(_) => engine.interrupt(&mut state, hw),
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
