// SPDX-License-Identifier: GPL-2.0

//! Jobs that are wholly in the command ring, and their completion.

use kernel::{
    list::List,
    prelude::*,
    sync::atomic::Relaxed, //
};

use crate::{
    abstractions::dma::fence::Timeline,
    copy_engine::job::Job,
    hw::{
        gmc::ReservedVram,
        ring::InterruptRing, //
    }, //
};

/// The state that the hard interrupt handler needs.
pub(super) struct InFlight<T: Timeline> {
    /// Whether the interrupt handler may access the card.
    pub(super) active: bool,
    pub(super) interrupts: InterruptRing,
    /// Jobs whose packets are all in the command ring, oldest first.
    pub(super) jobs: List<Job<T>>,
    /// Sequence number of the last FENCE packet in the ring.
    pub(super) seqno: u64,
    /// Sequence number of the last FENCE packet that the card has reached.
    pub(super) completed: u64,
    /// When the last job ended, in ns of the statistics' clock.
    last_end: i64,
    /// What the clients' jobs [cost](Job::cost) that are here or in the submit queue.
    pub(super) client_bytes: u64,
    /// Whether clients have jobs that are not in the submit queue yet.
    pub(super) clients_wait: bool,
    /// Whether submission stopped for want of ring space or of a transfer window.
    pub(super) stalled: bool,
}

impl<T: Timeline> InFlight<T> {
    /// The state of an engine that is not started, with nothing in flight. Its interrupt ring is in
    /// `vram`.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a ring that is too large.
    pub(super) fn new(vram: &ReservedVram) -> Result<Self> {
        Ok(Self {
            active: false,
            interrupts: InterruptRing::new(&vram.interrupts)?,
            jobs: List::new(),
            seqno: 0,
            completed: 0,
            last_end: 0,
            client_bytes: 0,
            clients_wait: false,
            stalled: false,
        })
    }

    /// Retires the jobs that have ended when the card has reached FENCE packet `completed`: signals
    /// their fences, and moves them to `retired`. `now` is the time in ns of the statistics' clock.
    /// `account` is called for each job, with the ns that the engine took. Returns whether the
    /// engine has made progress; a sequence number that it cannot have reached is no progress.
    ///
    /// The caller drops `retired` after it has released the lock, because freeing a job takes time.
    pub(super) fn retire(
        &mut self,
        completed: u64,
        now: i64,
        retired: &mut List<Job<T>>,
        mut account: impl FnMut(&Job<T>, i64),
    ) -> bool {
        if completed <= self.completed || completed > self.seqno {
            return false;
        }
        self.completed = completed;

        let mut cursor = self.jobs.cursor_front();
        while let Some(next) = cursor.peek_next() {
            if next.last.load(Relaxed) > completed {
                break;
            }
            let job = next.remove();

            // The engine executes one job at a time. So the time of a job begins when it was
            // submitted or when the job before it ended, whichever is later.
            let begun = job.begun.load(Relaxed).max(self.last_end);
            self.last_end = now;
            if !job.is_cancelled() {
                account(&job, now - begun);
            }
            self.client_bytes -= job.cost();
            job.end(if job.is_cancelled() {
                Err(ECANCELED)
            } else {
                Ok(())
            });
            retired.push_back(job);
        }
        true
    }
}
