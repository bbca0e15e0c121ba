// SPDX-License-Identifier: GPL-2.0

//! The engine while the card is at rest: before a sleep of the system or a reset, and after it.

use kernel::{
    device::{
        Bound,
        Device, //
    },
    list::List,
    prelude::*,
    time::Msecs, //
};

use crate::{
    abstractions::time::{
        jiffies,
        jiffies_to_ns, //
    },
    copy_engine::{
        engine::{
            CopyEngine,
            Hw, //
        },
        job::JobOwner,
        queue::{
            LastProgress,
            Power,
            SubmitQueue, //
        },
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

/// ms that jobs which were submitted have to end. An engine that hangs is given up long before.
const DRAIN_TIME: Msecs = 30_000;

impl CopyEngine {
    /// Waits until the jobs that were submitted have ended, then stops the engine and its interrupt.
    /// Jobs that are submitted from now on wait for [`resume`](Self::resume), as do those of clients that
    /// had no turn yet. The card is not accessed meanwhile.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the jobs do not end; `ENOMEM`. Then the engine goes on.
    pub(crate) fn suspend(&self, parent: &Device<Bound>) -> Result {
        let hw = self.hw(parent)?;

        self.queue.lock().power = Power::Draining;
        let result = loop {
            {
                let mut queue = self.queue.lock();

                if queue.is_empty() && self.inflight.lock().jobs.is_empty() {
                    self.rest(&mut queue, hw);
                    return Ok(());
                }
            }
            match self.drain(parent) {
                Ok(()) => (),
                Err(err) => break Err(err),
            }
        };

        let mut queue = self.queue.lock();
        queue.power = Power::On;
        self.go_on(&mut queue, hw);
        result
    }

    /// Waits until what is submitted has ended, with success or with an error.
    fn drain(&self, parent: &Device<Bound>) -> Result {
        // It comes last, and does nothing.
        let nothing = Ranges::new(core::iter::empty())?;
        let fence = match self.enqueue_clear(parent, nothing, JobOwner::default(), |queue| {
            queue.context.clone().ok_or(ENODEV)
        }) {
            // It has no jobs any more.
            Err(EIO) => return Ok(()),
            fence => fence?,
        };

        fence.wait_for(DRAIN_TIME).map(drop).ok_or(EBUSY)
    }

    /// Puts the jobs back that the engine has not ended, without a look at the card, which may not be
    /// there any more. They are done by [`resume`](Self::resume).
    pub(crate) fn cut_off(&self) {
        self.put_back(&mut self.queue.lock());
    }

    fn put_back(&self, queue: &mut SubmitQueue<CopyEngine>) {
        let mut inflight = self.inflight.lock();

        queue.power = Power::Off;
        inflight.active = false;
        queue.requeue_inflight(&mut inflight.jobs);
        drop(inflight);
        self.gart().set_offline();
    }

    /// Stops the engine and its interrupt, and puts the jobs back that it has not ended.
    pub(crate) fn halt(&self, parent: &Device<Bound>) -> Result {
        let hw = self.hw(parent)?;
        let mut retired = List::new();
        let mut queue = self.queue.lock();

        CommandRing::stop(hw.regs);
        {
            let mut inflight = self.inflight.lock();

            inflight.active = false;
            InterruptRing::stop(hw.regs);
            // What has ended is not done again: a later job may have written over its source.
            self.log(
                self.retire(&mut inflight, hw, &mut retired)
                    .map(|_progress| ()),
            );
        }
        self.put_back(&mut queue);
        Ok(())
    }

    /// Stops an engine without jobs, and its interrupt.
    fn rest(&self, queue: &mut SubmitQueue<CopyEngine>, hw: Hw<'_>) {
        queue.power = Power::Off;
        self.inflight.lock().active = false;
        InterruptRing::stop(hw.regs);
        CommandRing::stop(hw.regs);
        self.gart().set_offline();
    }

    /// Resets the card and starts the engine again, after [`suspend`](Self::suspend). Then it does what
    /// waits. `vram_lost` says that VRAM has lost its content.
    ///
    /// # Errors
    ///
    /// `EIO` if the engine does not obey. Then it was given up.
    pub(crate) fn resume(&self, parent: &Device<Bound>, vram_lost: bool) -> Result {
        let hw = self.hw(parent)?;
        let mut queue = self.queue.lock();

        self.reset_card(hw)?;
        queue.power = Power::On;
        if self.is_wedged() {
            gmc::isolate(hw.regs);
            return Ok(());
        }
        if !CommandRing::is_stopped(hw.regs) {
            self.wedge(&mut queue, hw);
            return Err(EIO);
        }
        if vram_lost {
            queue.lose(&self.gmc.vram);
        }
        self.start(&mut queue, hw)?;
        queue.last_progress = LastProgress {
            at: jiffies_to_ns(jiffies()),
            ..LastProgress::default()
        };
        self.go_on(&mut queue, hw);
        Ok(())
    }

    /// Gives the engine up without a look at the card, which is not there any more.
    pub(crate) fn give_up(&self, parent: &Device<Bound>) -> Result {
        let hw = self.hw(parent)?;
        let mut queue = self.queue.lock();

        queue.power = Power::On;
        if !self.is_wedged() {
            self.wedge(&mut queue, hw);
        }
        drop(queue);
        self.tell_what_happened();
        Ok(())
    }
}
