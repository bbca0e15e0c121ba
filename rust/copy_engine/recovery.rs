// SPDX-License-Identifier: GPL-2.0

//! An engine that fails or makes no progress: the watchdog that finds it, and its reset.

use kernel::{
    device::{
        Bound,
        Device, //
    },
    fmt,
    io::Io,
    list::List,
    prelude::*,
    sync::atomic::{
        Relaxed,
        Release, //
    },
    time::Msecs, //
};

use crate::{
    abstractions::{
        dma::fence::{
            Signalling,
            Timeline, //
        },
        time::{
            jiffies,
            jiffies_to_ns, //
        },
        workqueue::Tick, //
    },
    copy_engine::{
        engine::{
            CopyEngine,
            Engine,
            Hw,
            POLL, //
        },
        queue::{
            LastProgress,
            Position,
            Power,
            SubmitQueue, //
        }, //
    },
    hw::{
        gmc,
        regs::*,
        ring::CommandRing, //
    }, //
};

/// ns without progress after which the engine is reset.
const TIMEOUT: u64 = 3_000_000_000;
/// Failures at one job, or without any job in between, after which the engine is wedged.
const MAX_FAILURES: u32 = 3;

impl Engine {
    /// The watchdog's check: retires jobs whose interrupts were lost, and recovers an engine that
    /// has stopped with an error or makes no progress.
    fn check_hang(&self, queue: &mut SubmitQueue<CopyEngine>, hw: Hw<'_>) -> Result {
        let mut retired = List::new();
        let made_progress = self.retire(&mut self.inflight.lock(), hw, &mut retired)?;
        if made_progress {
            self.counters.polled.add(1, Relaxed);
        }

        let now = jiffies_to_ns(jiffies());
        let Some(rptr) = queue.commands.read_rptr(hw.regs) else {
            return self.recover(queue, hw, fmt!("read pointer outside of the ring"));
        };
        let position = Position {
            completed: self.inflight.lock().completed,
            consumed: queue.commands.consumed(rptr),
        };
        let last = queue.last_progress.position;
        if self.is_idle(queue)
            || position.completed > last.completed
            || position.consumed > last.consumed
        {
            queue.last_progress = LastProgress { position, at: now };
        }

        if !self.is_wedged() && !gmc::is_enabled(hw.regs) {
            self.recover(queue, hw, fmt!("was reset behind the driver's back"))?;
        } else if hw.regs.read(CP_STATUS).error() {
            self.recover(queue, hw, fmt!("error"))?;
        } else if now - queue.last_progress.at > TIMEOUT {
            self.recover(queue, hw, fmt!("timeout"))?;
        } else {
            self.fill_ring(queue, hw)?;
        }
        Ok(())
    }

    /// Resets the engine after a failure, of which `why` is the reason for the log, and submits its
    /// unfinished jobs again from their beginning.
    pub(super) fn recover(
        &self,
        queue: &mut SubmitQueue<CopyEngine>,
        hw: Hw<'_>,
        why: fmt::Arguments<'_>,
    ) -> Result {
        let stopped = CommandRing::stop(hw.regs);
        let mut retired = List::new();

        self.counters.resets.add(1, Relaxed);
        let (completed, seqno) = {
            let mut inflight = self.inflight.lock();

            self.retire(&mut inflight, hw, &mut retired)?;
            // The interrupt handler must not access a card that is being reset.
            inflight.active = stopped;
            (inflight.completed, inflight.seqno)
        };
        dev_err!(
            self.dev,
            "copy engine: {}; {} it after fence {} of {}\n",
            why,
            if stopped { "restarting" } else { "resetting" },
            completed,
            seqno
        );

        if !stopped || !gmc::is_enabled(hw.regs) {
            self.reset_card(hw)?;
        }

        let failed_too_often = self.requeue(queue);
        if gmc::vram_lost(hw.regs) {
            queue.lose(&self.gmc.vram);
            self.vram_lost.store(true, Relaxed);
        }
        let obeys = CommandRing::is_stopped(hw.regs);
        if !obeys {
            dev_err!(self.dev, "copy engine: goes on after a reset\n");
        }
        if failed_too_often || !obeys {
            self.wedge(queue, hw);
            return Ok(());
        }

        // The time limit starts anew for the jobs that are submitted again.
        queue.last_progress = LastProgress {
            position: Position::default(),
            at: jiffies_to_ns(jiffies()),
        };
        self.start(queue, hw)?;
        self.fill_ring(queue, hw)
    }

    /// Resets the whole card, because its engine cannot be stopped, or because it has lost what the
    /// driver had set up. The reset disables the aperture
    /// for a moment, so nothing may access VRAM through it meanwhile.
    pub(super) fn reset_card(&self, hw: Hw<'_>) -> Result {
        self.aperture.shut(&self.bdev, || {
            self.gart.recover(hw.parent, |regs| {
                gmc::reset(regs, &self.gmc);
                Ok(())
            })
        })
    }

    /// Puts what is in flight back into the queue, and counts a failure for the job at which the
    /// engine failed, or for the time without a job. Returns whether it failed too often.
    fn requeue(&self, queue: &mut SubmitQueue<CopyEngine>) -> bool {
        let mut inflight = self.inflight.lock();
        let failures = match queue.running(&inflight.jobs) {
            Some(job) => job.count_failure(),
            None => queue.count_idle_failure(),
        };

        queue.requeue_inflight(&mut inflight.jobs);
        failures >= MAX_FAILURES
    }

    /// Gives the engine up: it reaches no memory any more, and the fences of all jobs are signalled
    /// with `EIO`.
    pub(super) fn wedge(&self, queue: &mut SubmitQueue<CopyEngine>, hw: Hw<'_>) {
        dev_err!(self.dev, "copy engine: given up, memory cannot be moved\n");
        gmc::isolate(hw.regs);
        self.wedged.store(true, Release);
        self.end_all(queue, EIO);
    }
}

impl Timeline for CopyEngine {
    const DRIVER_NAME: &'static CStr = c"pddgpu";
    const NAME: &'static CStr = c"copy";

    /// Submits the jobs that waited for the fence, from the watchdog.
    fn awaited_signalled(&self) {
        self.awaited_signalled.store(true, Release);
        self.kick(0);
    }

    /// Runs the watchdog after half of that time at the latest. So a wait with a time limit ends in
    /// time even if the interrupt was lost.
    fn set_deadline(&self, ms: Msecs) {
        if self.rearm_watchdog_if_earlier(ms / 2) {
            self.kick(ms / 2);
        }
    }
}

impl Tick for Engine {
    fn tick(&self, parent: &Device<Bound>) -> Option<Msecs> {
        let watched = {
            let _signalling = Signalling::begin();
            let hw = self.hw(parent).ok()?;
            let mut queue = self.queue.lock();

            queue.context.as_ref()?;
            if queue.power == Power::Off {
                queue.watched = false;
                return None;
            }
            self.log(self.check_hang(&mut queue, hw));
            queue.watched = !self.is_idle(&queue);
            self.note_poll();
            queue.watched
        };

        self.tell_what_happened();
        watched.then_some(POLL)
    }
}
