// SPDX-License-Identifier: GPL-2.0

//! The state of the copy engine, and its counters.

use core::ops::Range;

use kernel::{
    device::{
        self,
        Bound,
        Device, //
    },
    list::List,
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            Atomic,
            Relaxed, //
        },
        new_spinlock_irq,
        Arc,
        Mutex,
        SpinLockIrq, //
    },
    time::Msecs, //
};

use crate::{
    abstractions::{
        dma::fence::{
            Allocation,
            Fence, //
        },
        drm::{
            drm_print,
            Printer, //
        },
        ratelimit::RateLimit,
        time::{
            jiffies,
            jiffies_to_ns, //
        },
        ttm::{
            Aperture,
            BaseDevice, //
        },
        workqueue::Periodic, //
    },
    copy_engine::{
        client_queue::ClientQueue,
        inflight::InFlight,
        job::{
            Job,
            Work, //
        },
        queue::SubmitQueue, //
    },
    hw::{
        gart::Gart,
        gmc::{
            Gmc,
            ReservedVram, //
        },
        regs::{
            BoundRegisters,
            Registers, //
        }, //
    },
    memory_stats::Stats, //
};

/// ms between two runs of the watchdog while the engine has work.
pub(super) const POLL: Msecs = 100;
const NSEC_PER_MSEC: u64 = 1_000_000;

/// The engine with its watchdog.
pub(crate) type CopyEngine = Periodic<Engine>;

/// Who is told of what happens to the card.
pub(crate) trait Listener: Send + Sync {
    /// A page of VRAM, as byte offsets, had an uncorrectable error.
    fn page_lost(&self, page: Range<u64>);

    /// VRAM has lost its content, and nobody had announced that.
    fn vram_lost(&self);

    /// The engine was given up after repeated failures.
    fn given_up(&self);
}

/// The jobs of a client of the engine.
pub(crate) type ClientJobs = ClientQueue<CopyEngine, SubmitQueue<CopyEngine>>;

/// The copy engine of a card.
#[pin_data]
pub(crate) struct Engine {
    pub(super) dev: ARef<device::Device>,
    pub(super) bdev: Arc<BaseDevice>,
    pub(super) regs: Arc<BoundRegisters>,
    pub(super) aperture: Arc<Aperture>,
    pub(super) stats: Arc<Stats>,
    pub(super) gmc: Gmc,
    /// Bytes at the start of VRAM that the driver uses itself.
    pub(super) own: u64,
    /// VRAM offset to which the card writes the sequence number of a FENCE packet that it has
    /// reached.
    pub(super) fence: u64,
    #[pin]
    pub(super) gart: Gart,
    #[pin]
    pub(super) queue: Mutex<SubmitQueue<CopyEngine>>,
    #[pin]
    pub(super) inflight: SpinLockIrq<InFlight<CopyEngine>>,
    /// Whether the engine was given up after repeated failures.
    pub(super) wedged: Atomic<bool>,
    /// Whether a fence was signalled that clients' jobs wait for.
    pub(super) awaited_signalled: Atomic<bool>,
    /// Whether the listener was told so.
    told: Atomic<bool>,
    /// Whether VRAM has lost its content, and the listener was not told so yet.
    pub(super) vram_lost: Atomic<bool>,
    /// Who is told of what happens; [`None`] while the engine is not started.
    #[pin]
    pub(super) listener: Mutex<Option<Arc<dyn Listener>>>,
    /// Whether clients' jobs are refused because the card is being unbound.
    pub(super) closed: Atomic<bool>,
    /// The number of the context of its fences; 0 while it is not started.
    pub(super) context: Atomic<u64>,
    /// When the watchdog runs next, in ns since boot.
    due: Atomic<u64>,
    pub(super) counters: Counters,
    /// For log lines whose number the card decides.
    #[pin]
    pub(super) log_limit: RateLimit,
}

/// Counters for `pddgpu_engine` in debugfs.
pub(super) struct Counters {
    pub(super) copies: Atomic<u64>,
    /// Bytes.
    pub(super) copied: Atomic<u64>,
    pub(super) clears: Atomic<u64>,
    /// Bytes.
    pub(super) cleared: Atomic<u64>,
    /// Runs of the watchdog that found jobs ended for which no interrupt had come.
    pub(super) polled: Atomic<u64>,
    pub(super) faults: Atomic<u64>,
    pub(super) resets: Atomic<u64>,
}

impl Counters {
    fn new() -> Self {
        Self {
            copies: Atomic::new(0),
            copied: Atomic::new(0),
            clears: Atomic::new(0),
            cleared: Atomic::new(0),
            polled: Atomic::new(0),
            faults: Atomic::new(0),
            resets: Atomic::new(0),
        }
    }
}

/// Access to the hardware. It exists only while the card is bound.
#[derive(Clone, Copy)]
pub(super) struct Hw<'a> {
    pub(super) parent: &'a Device<Bound>,
    pub(super) regs: &'a Registers<'a>,
}

impl Engine {
    /// An engine that is not [started](super::Running::new) yet. Its GART table and its rings are
    /// in `vram`, the VRAM that is reserved for the driver.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(
        dev: &Device<Bound>,
        bdev: Arc<BaseDevice>,
        regs: Arc<BoundRegisters>,
        aperture: Arc<Aperture>,
        stats: Arc<Stats>,
        gmc: Gmc,
        vram: &ReservedVram,
    ) -> Result<Arc<CopyEngine>> {
        let queue = SubmitQueue::new(vram)?;
        let inflight = InFlight::new(vram)?;
        let gart = Gart::new(regs.clone(), aperture.bar().clone(), &vram.gart)?;

        Periodic::new(
            dev,
            try_pin_init!(Self {
                dev: dev.into(),
                bdev,
                regs,
                aperture,
                stats,
                gmc,
                own: vram.size(),
                fence: vram.fence.start,
                gart <- gart,
                queue <- new_mutex!(queue),
                inflight <- new_spinlock_irq!(inflight),
                wedged: Atomic::new(false),
                awaited_signalled: Atomic::new(false),
                told: Atomic::new(false),
                vram_lost: Atomic::new(false),
                listener <- new_mutex!(None),
                closed: Atomic::new(false),
                context: Atomic::new(0),
                due: Atomic::new(0),
                counters: Counters::new(),
                log_limit <- RateLimit::new(),
            }? Error),
        )
    }

    /// The GART, whose table maps the GTT window.
    pub(crate) fn gart(&self) -> &Gart {
        &self.gart
    }

    /// A queue for the jobs of a client.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new_client(&self) -> Result<Arc<ClientJobs>> {
        ClientQueue::new(&self.queue)
    }

    /// Whether the engine was given up after repeated failures.
    pub(crate) fn is_wedged(&self) -> bool {
        self.wedged.load(Acquire)
    }

    /// Whether clients' jobs are refused because the card is being unbound.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Acquire)
    }

    /// Whether a fence is of a job of a copy engine, and not signalled yet.
    pub(crate) fn has_published(fence: &Fence) -> bool {
        Allocation::<CopyEngine>::is_unsignalled(fence)
    }

    /// Whether a fence is of a job in the submit queue, or in flight, that is not a client's. What is
    /// submitted after it is executed after it.
    pub(crate) fn is_queued(&self, fence: &Fence) -> bool {
        fence.context() == self.context.load(Relaxed)
    }

    /// Prints the counters.
    pub(crate) fn print(&self, p: &Printer) {
        let counters = &self.counters;

        for (name, counter) in [
            ("copies", &counters.copies),
            ("bytes copied", &counters.copied),
            ("clears", &counters.clears),
            ("bytes cleared", &counters.cleared),
            ("polled", &counters.polled),
            ("faults", &counters.faults),
            ("resets", &counters.resets),
        ] {
            drm_print!(p, "{:<14} {:>16}\n", name, counter.load(Relaxed));
        }
        drm_print!(p, "{:<14} {:>16}\n", "wedged", u32::from(self.is_wedged()));
    }

    pub(super) fn hw<'a>(&'a self, parent: &'a Device<Bound>) -> Result<Hw<'a>> {
        Ok(Hw {
            parent,
            regs: self.regs.access(parent)?,
        })
    }

    /// Notes that the watchdog runs in [`POLL`] ms, and returns the time now in ns since boot.
    pub(super) fn note_poll(&self) -> u64 {
        let now = jiffies_to_ns(jiffies());

        self.due
            .store(now + u64::from(POLL) * NSEC_PER_MSEC, Relaxed);
        now
    }

    /// Moves the next run of the watchdog to `ms` from now, if it is due later than that. Returns
    /// whether it was; then the caller has to kick the watchdog.
    pub(super) fn rearm_watchdog_if_earlier(&self, ms: Msecs) -> bool {
        let at = jiffies_to_ns(jiffies()) + u64::from(ms) * NSEC_PER_MSEC;
        let is_earlier = at < self.due.load(Relaxed);

        if is_earlier {
            self.due.store(at, Relaxed);
        }
        is_earlier
    }

    /// Counts a job that took the engine `ns`.
    pub(super) fn account(&self, job: &Job<CopyEngine>, ns: i64) {
        let (count, bytes) = match job.work {
            Work::Copy { .. } => {
                // What a client copies is no move.
                if !job.owner.is_client() {
                    self.stats.moved_by_engine(ns);
                }
                (&self.counters.copies, &self.counters.copied)
            }
            Work::Fill { .. } => (&self.counters.clears, &self.counters.cleared),
        };

        count.add(1, Relaxed);
        bytes.add(job.work.bytes(), Relaxed);
        job.owner.add_engine_time(ns);
    }

    /// Retires what the engine has finished ([`InFlight::retire`]), and returns whether it has made
    /// progress.
    pub(super) fn retire(
        &self,
        inflight: &mut InFlight<CopyEngine>,
        hw: Hw<'_>,
        retired: &mut List<Job<CopyEngine>>,
    ) -> Result<bool> {
        let completed = self.aperture.bar().read(hw.parent, self.fence)?;
        let account = |job: &Job<CopyEngine>, ns| self.account(job, ns);

        Ok(inflight.retire(completed, self.stats.now(), retired, account))
    }

    /// Whether all jobs have ended but those that wait for fences of others.
    pub(super) fn is_idle(&self, queue: &SubmitQueue<CopyEngine>) -> bool {
        queue.is_empty() && queue.clients.is_empty() && self.inflight.lock().jobs.is_empty()
    }

    /// Whether the engine has something to do.
    pub(crate) fn has_work(&self) -> bool {
        !self.is_idle(&self.queue.lock())
    }

    /// Calls `f` with the listener, if the engine is started.
    pub(super) fn tell(&self, f: impl FnOnce(&dyn Listener)) {
        let listener = self.listener.lock().clone();

        if let Some(listener) = listener {
            f(&*listener);
        }
    }

    /// Tells the listener if VRAM has lost its content and, once, if the engine was given up. No lock is
    /// held that anyone needs to signal a fence.
    pub(super) fn tell_what_happened(&self) {
        if self.vram_lost.xchg(false, Relaxed) {
            self.tell(|listener| listener.vram_lost());
        }
        if self.is_wedged() && !self.is_closed() && !self.told.xchg(true, Relaxed) {
            self.tell(|listener| listener.given_up());
        }
    }

    /// Logs an error that cannot be returned to a caller.
    pub(super) fn log(&self, result: Result) {
        if let Err(err) = result {
            if self.log_limit.allows(c"pddgpu: engine") {
                dev_err!(self.dev, "copy engine: {:?}\n", err);
            }
        }
    }
}
