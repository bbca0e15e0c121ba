// SPDX-License-Identifier: GPL-2.0

//! Starting the engine when the card is bound, and stopping it when it is unbound.

use kernel::{
    device::{
        Bound,
        Device, //
    },
    devres::Devres,
    pci,
    prelude::*,
    sync::{
        atomic::{
            Relaxed,
            Release, //
        },
        Arc, //
    },
    time::Msecs, //
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
            Hw,
            Listener, //
        },
        interrupt::Handler,
        job::JobOwner,
        queue::SubmitQueue,
        ranges::Ranges, //
    },
    hw::{
        gmc,
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

    /// Refuses clients' jobs from now on, and ends those under way: their fences are signalled with
    /// `ENODEV`.
    fn close(&self, parent: &Device<Bound>) -> Result {
        let hw = self.hw(parent)?;
        let mut queue = self.queue.lock();

        queue.open = false;
        self.closed.store(true, Release);
        self.abort(&mut queue, hw)?;
        // What the driver itself still has to do.
        self.start(&mut queue, hw)
    }

    /// Halts the engine, and ends all jobs with `ENODEV`.
    ///
    /// # Errors
    ///
    /// `EIO` if the engine cannot be stopped.
    fn abort(&self, queue: &mut SubmitQueue<CopyEngine>, hw: Hw<'_>) -> Result {
        let stopped = {
            let mut inflight = self.inflight.lock();

            inflight.active = false;
            InterruptRing::stop(hw.regs);
            queue.requeue_inflight(&mut inflight.jobs);
            CommandRing::stop(hw.regs)
        };

        // The memory of the jobs is freed when their fences are signalled. An engine that goes on even
        // after a reset must not reach it, and gets nothing more to do.
        let obeys = (stopped || self.reset_card(hw).is_ok()) && CommandRing::is_stopped(hw.regs);
        if !obeys {
            gmc::isolate(hw.regs);
            self.wedged.store(true, Release);
        }
        self.end_all(queue, ENODEV);
        if obeys {
            Ok(())
        } else {
            Err(EIO)
        }
    }

    /// Stops the engine for good.
    fn stop(&self, parent: &Device<Bound>) -> Result {
        let hw = self.hw(parent)?;
        let mut queue = self.queue.lock();

        queue.context = None;
        self.abort(&mut queue, hw)
    }
}

/// A guard that refuses clients' jobs, and ends those under way with `ENODEV`, when it is dropped.
///
/// Drop it before the device is unplugged: an unplug waits for calls that are under way, and they
/// may be waiting for the engine.
pub(crate) struct Open<'a> {
    engine: Arc<CopyEngine>,
    dev: &'a Device<Bound>,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.engine.log(self.engine.close(self.dev));
    }
}

/// A started engine. Dropping it stops the engine.
pub(crate) struct Running<'a> {
    engine: Arc<CopyEngine>,
    dev: &'a Device<Bound>,
    // Dropped before the context: the interrupt handler must not drop the last reference on it,
    // because that sleeps.
    _msi: Devres<Msi<Handler>>,
    // Dropping the last reference waits until no thread uses the context through a fence.
    context: Arc<Context<CopyEngine>>,
}

impl<'a> Running<'a> {
    /// Starts the engine of `pdev`. `listener` is told of what happens to the card until the engine
    /// stops.
    ///
    /// # Errors
    ///
    /// Those of [`Msi::new`].
    pub(crate) fn new(
        pdev: &'a pci::Device<Bound>,
        engine: Arc<CopyEngine>,
        listener: Arc<dyn Listener>,
    ) -> Result<Self> {
        let dev = pdev.as_ref();
        let handler = Handler::new(engine.clone());
        let msi = Msi::new(pdev, c"pddgpu", handler)?;
        let context = Context::new(engine.clone())?;

        {
            let hw = engine.hw(dev)?;
            let mut queue = engine.queue.lock();

            queue.context = Some(context.clone());
            queue.open = true;
            engine.context.store(context.sequence().id(), Relaxed);
            engine.start(&mut queue, hw)?;
        }
        *engine.listener.lock() = Some(listener);
        Ok(Self {
            engine,
            dev,
            _msi: msi,
            context,
        })
    }

    /// A guard that has the engine refuse clients' jobs when it is dropped.
    pub(crate) fn open(&self) -> Open<'a> {
        Open {
            engine: self.engine.clone(),
            dev: self.dev,
        }
    }

    /// Zeroes the bytes at these GPU addresses, after clients' jobs were refused. Waits for at most
    /// `ms` milliseconds.
    ///
    /// # Errors
    ///
    /// `ETIME`; `EIO` if the engine is wedged; `ENOMEM`.
    pub(crate) fn wipe(&self, ranges: Ranges, ms: Msecs) -> Result {
        let fence = self
            .engine
            .enqueue_clear(self.dev, ranges, JobOwner::default(), |_| {
                Ok(self.context.clone())
            })?;

        fence.wait_for(ms).unwrap_or(Err(ETIME))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let result = Engine::stop(&self.engine, self.dev);

        // It may have a reference on what has the engine.
        let _listener = self.engine.listener.lock().take();
        self.engine.log(result);
    }
}
