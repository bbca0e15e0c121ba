// SPDX-License-Identifier: GPL-2.0

//! Jobs that are in the command ring as a whole, and how far the engine is with them.

use kernel::{
    list::List,
    prelude::*,
    sync::atomic::Relaxed, //
};

use crate::{
    abstractions::dma::fence::Timeline,
    copy_engine::job::{
        Job,
        Work, //
    },
    hw::{
        gmc::ReservedVram,
        ring::InterruptRing, //
    }, //
};

/// Jobs that were submitted and have not ended.
pub(super) struct InFlight<T: Timeline> {
    /// Whether an interrupt may read the card's registers.
    pub(super) active: bool,
    pub(super) interrupts: InterruptRing,
    /// Jobs that were submitted as a whole, in order.
    pub(super) jobs: List<Job<T>>,
    /// Sequence number of the last fence packet in the ring.
    pub(super) seqno: u64,
    /// Sequence number of the last fence packet that the engine reached.
    pub(super) completed: u64,
    /// When the last job ended, in ns of the statistics' clock.
    last_end: i64,
    /// Whether the submit queue waits for room.
    pub(super) stalled: bool,
}

impl<T: Timeline> InFlight<T> {
    /// Nothing is in flight: the engine is not started. Its interrupt ring is in `vram`.
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
            stalled: false,
        })
    }

    /// Retires the jobs that are finished once the engine has reached fence packet `completed`, at `now` in ns
    /// of the statistics' clock: signals their fences, and moves them to `retired`, to be dropped without the
    /// lock. `account` is told of each, and how many ns the engine took. Returns whether the engine has made
    /// progress; a number that it cannot have reached is none.
    pub(super) fn retire(
        &mut self,
        completed: u64,
        now: i64,
        retired: &mut List<Job<T>>,
        mut account: impl FnMut(&Work, i64),
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

            // The engine does one job at a time, so until the one before it ended this one was queued.
            let begun = job.begun.load(Relaxed).max(self.last_end);
            self.last_end = now;
            account(&job.work, now - begun);
            job.end(Ok(()));
            retired.push_back(job);
        }
        true
    }
}
