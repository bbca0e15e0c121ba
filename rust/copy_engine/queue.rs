// SPDX-License-Identifier: GPL-2.0

//! Jobs that are not wholly in the command ring yet, and what submission needs.

use core::ops::Range;

use kernel::{
    list::{
        List,
        ListArc, //
    },
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    }, //
};

use crate::{
    abstractions::dma::fence::{
        Context,
        Timeline, //
    },
    copy_engine::{
        client_queue::ClientQueue,
        job::{
            Job,
            Progress, //
        }, //
    },
    hw::{
        gmc::{
            ReservedVram,
            GTT_NUM_TRANSFER_WINDOWS, //
        },
        ring::CommandRing, //
    }, //
};

/// How far the engine is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// Sequence number of the last FENCE packet that it has reached.
    pub(super) completed: u64,
    /// Bytes of packets that it has executed since it was started.
    pub(super) consumed: u64,
}

/// When the engine was last seen to make progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LastProgress {
    /// How far it was then.
    pub(super) position: Position,
    /// ns since boot.
    pub(super) at: u64,
}

/// A job of which only a part was submitted.
pub(super) struct Partial<T: Timeline> {
    /// The job.
    pub(super) job: ListArc<Job<T>>,
    /// How much of it was submitted.
    pub(super) progress: Progress,
}

/// Whether jobs are submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Power {
    /// They are.
    On,
    /// Only those that are here already, because the card is going to rest.
    Draining,
    /// None: the card is at rest, and nobody accesses it.
    Off,
}

/// The state of submission.
pub(crate) struct SubmitQueue<T: Timeline> {
    /// The context of the jobs' fences; [`None`] while the engine is not started.
    pub(super) context: Option<Arc<Context<T>>>,
    /// Whether clients' jobs are accepted.
    pub(super) open: bool,
    /// Whether jobs are submitted.
    pub(super) power: Power,
    pub(super) commands: CommandRing,
    /// The jobs of clients that are not here yet.
    pub(super) clients: List<ClientQueue<T, Self>>,
    /// Clients whose next job waits for a fence.
    pub(super) blocked: List<ClientQueue<T, Self>>,
    /// Jobs of which nothing is submitted, oldest first.
    pub(super) waiting: List<Job<T>>,
    /// The job of which a part is submitted.
    pub(super) partial: Option<Partial<T>>,
    /// For each transfer window, the sequence number of the FENCE packet after which it is free.
    pub(super) windows: [u64; GTT_NUM_TRANSFER_WINDOWS as usize],
    /// The last progress that the watchdog saw.
    pub(super) last_progress: LastProgress,
    /// Whether the watchdog is scheduled.
    pub(super) watched: bool,
    /// Failures of the engine since it last had a job.
    idle_failures: u32,
}

impl<T: Timeline> SubmitQueue<T> {
    /// The queue of an engine that is not started, with its ring in `vram`.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a ring that is too large.
    pub(super) fn new(vram: &ReservedVram) -> Result<Self> {
        Ok(Self {
            context: None,
            open: false,
            power: Power::On,
            commands: CommandRing::new(&vram.commands)?,
            clients: List::new(),
            blocked: List::new(),
            waiting: List::new(),
            partial: None,
            windows: Default::default(),
            last_progress: Default::default(),
            watched: false,
            idle_failures: 0,
        })
    }

    /// Appends a job.
    pub(super) fn push(&mut self, job: ListArc<Job<T>>) {
        self.idle_failures = 0;
        self.waiting.push_back(job);
    }

    /// Counts a failure of the engine while it had no job. Returns how many there are now.
    pub(super) fn count_idle_failure(&mut self) -> u32 {
        self.idle_failures += 1;
        self.idle_failures
    }

    /// Whether nothing waits to be submitted.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.partial.is_none()
    }

    /// Takes the next job to submit something of.
    pub(super) fn pop(&mut self) -> Option<Partial<T>> {
        self.partial.take().or_else(|| {
            Some(Partial {
                job: self.waiting.pop_front()?,
                progress: Progress::default(),
            })
        })
    }

    /// Takes back a job for which there was no room, or of which a part is left.
    pub(super) fn put_back(&mut self, partial: Partial<T>) {
        if partial.progress == Progress::default() {
            self.waiting.push_front(partial.job);
        } else {
            self.partial = Some(partial);
        }
    }

    /// The oldest unfinished job of which at least a part is submitted. `inflight` are the jobs
    /// that are wholly in the ring.
    pub(super) fn running<'a>(
        &'a self,
        inflight: &'a List<Job<T>>,
    ) -> Option<ArcBorrow<'a, Job<T>>> {
        let partial = self.partial.as_ref();

        inflight
            .iter()
            .next()
            .or_else(|| partial.map(|partial| partial.job.as_arc_borrow()))
    }

    /// Has the jobs fill with zeroes that would copy from `vram`, because it has lost its content. What
    /// one of them would have read that another one writes before counts as lost, too.
    pub(super) fn lose(&mut self, vram: &Range<u64>) {
        for job in self.waiting.iter() {
            if job.work.reads(vram) {
                job.set_lost();
            }
        }
    }

    /// Puts all submitted jobs, those in `inflight` too, back to the front of the queue, in their
    /// order. Nothing of them counts as submitted any more.
    pub(super) fn requeue_inflight(&mut self, inflight: &mut List<Job<T>>) {
        if let Some(partial) = self.partial.take() {
            self.waiting.push_front(partial.job);
        }
        while let Some(job) = inflight.pop_back() {
            self.waiting.push_front(job);
        }
        self.windows = Default::default();
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/copy_engine/queue.rs"]
mod kunit;
