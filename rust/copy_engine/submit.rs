// SPDX-License-Identifier: GPL-2.0

//! Submission of jobs: from the caller into the queue, and from the queue into the command ring.

use kernel::{
    device::{
        Bound,
        Device, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Full,
            Relaxed, //
        },
        Arc, //
    }, //
};

use crate::{
    abstractions::dma::fence::{
        Allocation,
        Context,
        Fence, //
    },
    copy_engine::{
        admission::ROOM,
        engine::{
            CopyEngine,
            Engine,
            Hw,
            POLL, //
        },
        job::{
            Job,
            JobOwner,
            Progress,
            Work,
            MAX_CHUNK_PACKETS,
            WINDOW_BYTES, //
        },
        queue::{
            Partial,
            Power,
            SubmitQueue, //
        },
        ranges::{
            CopyEnd,
            Ranges, //
        }, //
    },
    hw::{
        gmc::GTT_MAX_TRANSFER_SIZE,
        regs::Packet, //
    }, //
};

impl CopyEngine {
    /// Submits a copy from `from` to `to` for `owner`. It is executed after all jobs that were submitted
    /// before.
    ///
    /// The memory of both ends must stay allocated and mapped until the fence is signalled.
    ///
    /// # Errors
    ///
    /// `ENODEV` while the engine is not started; `EIO` if it is wedged; `EINVAL` if the ends differ
    /// in size; `ENOMEM`.
    pub(crate) fn copy(
        &self,
        parent: &Device<Bound>,
        from: CopyEnd,
        to: CopyEnd,
        owner: JobOwner,
    ) -> Result<ARef<Fence>> {
        self.enqueue(parent, Work::Copy { from, to }, owner, Self::open_context)
    }

    /// Submits a clear, which zeroes the bytes at these GPU addresses; otherwise as
    /// [`copy`](Self::copy).
    ///
    /// # Errors
    ///
    /// Those of [`copy`](Self::copy).
    pub(crate) fn clear(
        &self,
        parent: &Device<Bound>,
        to: Ranges,
        owner: JobOwner,
    ) -> Result<ARef<Fence>> {
        self.enqueue_clear(parent, to, owner, Self::open_context)
    }

    /// The context of the fences of clients' jobs, as long as those are accepted.
    fn open_context(queue: &SubmitQueue<CopyEngine>) -> Result<Arc<Context<CopyEngine>>> {
        queue.context.clone().filter(|_| queue.open).ok_or(ENODEV)
    }

    /// Submits a clear, otherwise as [`enqueue`](Self::enqueue).
    ///
    /// # Errors
    ///
    /// Those of [`enqueue`](Self::enqueue).
    pub(super) fn enqueue_clear(
        &self,
        parent: &Device<Bound>,
        to: Ranges,
        owner: JobOwner,
        context: impl FnOnce(&SubmitQueue<CopyEngine>) -> Result<Arc<Context<CopyEngine>>>,
    ) -> Result<ARef<Fence>> {
        let work = Work::Fill {
            to: CopyEnd::Mapped(to),
            value: 0,
        };

        self.enqueue(parent, work, owner, context)
    }

    /// Submits a job. `context` gives the context of its fence, or refuses it.
    ///
    /// # Errors
    ///
    /// Those of `context`; `EIO` if the engine is wedged; `EINVAL` if the ends of a copy differ in
    /// size; `ENOMEM`.
    pub(super) fn enqueue(
        &self,
        parent: &Device<Bound>,
        work: Work,
        owner: JobOwner,
        context: impl FnOnce(&SubmitQueue<CopyEngine>) -> Result<Arc<Context<CopyEngine>>>,
    ) -> Result<ARef<Fence>> {
        let hw = self.hw(parent)?;
        let allocation = Allocation::new()?;
        let job = Job::new(work, owner, KVec::new())?;
        let mut queue = self.queue.lock();

        if self.is_wedged() {
            return Err(EIO);
        }
        let pending = allocation.publish(context(&queue)?);
        let fence = pending.fence().clone();

        job.fence.populate(pending);
        queue.push(job);
        self.go_on(&mut queue, hw);
        Ok(fence)
    }

    /// Submits what is new in the queue, and has the watchdog watch it.
    pub(super) fn go_on(&self, queue: &mut SubmitQueue<CopyEngine>, hw: Hw<'_>) {
        self.log(self.fill_ring(queue, hw));
        if !queue.watched && queue.power != Power::Off {
            queue.watched = true;
            queue.last_progress.at = self.note_poll();
            self.kick(POLL);
        }
    }
}

impl Engine {
    /// Takes clients' jobs into the submit queue whose turn it is.
    fn admit_clients(&self, queue: &mut SubmitQueue<CopyEngine>) {
        let room = ROOM.saturating_sub(self.inflight.lock().client_bytes);

        if self.awaited_signalled.xchg(false, Full) {
            queue.unblock();
        }
        let admitted = queue.admit(room);
        let mut inflight = self.inflight.lock();

        inflight.client_bytes += admitted;
        inflight.clients_wait = !queue.clients.is_empty();
    }

    /// Ends all jobs that are not in flight with an error.
    pub(super) fn end_all(&self, queue: &mut SubmitQueue<CopyEngine>, err: Error) {
        let mut inflight = self.inflight.lock();

        inflight.client_bytes = 0;
        inflight.clients_wait = false;
        drop(inflight);
        queue.end_all(err);
    }

    /// Submits chunks until the queue is empty, the ring is full, or no transfer window is free.
    pub(super) fn fill_ring(&self, queue: &mut SubmitQueue<CopyEngine>, hw: Hw<'_>) -> Result {
        match queue.power {
            Power::On => self.admit_clients(queue),
            Power::Draining => (),
            Power::Off => return Ok(()),
        }
        while let Some(mut partial) = queue.pop() {
            let Some(window) = self.find_window(queue, &partial.job, hw) else {
                queue.put_back(partial);
                break;
            };

            let seqno = match self.submit_chunk(queue, &mut partial, window, hw) {
                Ok(seqno) => seqno,
                Err(err) => {
                    queue.put_back(partial);
                    return Err(err);
                }
            };
            let is_done = partial.job.is_cancelled() || partial.job.work.is_done(&partial.progress);
            if is_done {
                partial.job.last.store(seqno, Relaxed);
                self.inflight.lock().jobs.push_back(partial.job);
            } else {
                queue.put_back(partial);
            }
        }

        queue.commands.ring_doorbell(hw.regs);
        Ok(())
    }

    /// A transfer window for the next chunk of `job`, any for one that needs none; [`None`] if
    /// the chunk has to wait for a window or for room in the ring.
    fn find_window(
        &self,
        queue: &mut SubmitQueue<CopyEngine>,
        job: &Job<CopyEngine>,
        hw: Hw<'_>,
    ) -> Option<usize> {
        let mut inflight = self.inflight.lock();
        let window = if job.work.is_windowed() && !job.is_cancelled() {
            queue
                .windows
                .iter()
                .position(|&last| last <= inflight.completed)
        } else {
            Some(0)
        };
        let window = window.filter(|_| queue.commands.has_room(hw.regs, MAX_CHUNK_PACKETS + 1));

        // Set under the lock: the interrupt of an earlier chunk wakes the thread that continues
        // here, but only if it finds this set.
        inflight.stalled = window.is_none();
        window
    }

    /// Puts the next chunk of a job and its fence packet into the ring. Returns the fence's
    /// sequence number.
    fn submit_chunk(
        &self,
        queue: &mut SubmitQueue<CopyEngine>,
        partial: &mut Partial<CopyEngine>,
        window: usize,
        hw: Hw<'_>,
    ) -> Result<u64> {
        let Partial { job, progress } = partial;
        let is_windowed = job.work.is_windowed() && !job.is_cancelled();

        if is_windowed {
            let first_page = window as u64 * GTT_MAX_TRANSFER_SIZE;

            for (page, pages) in job.work.window_pages(progress) {
                self.gart.map(hw.parent, first_page + page, pages)?;
            }
        }
        self.gart.flush(hw.regs);
        if *progress == Progress::default() {
            job.begun.store(self.stats.now(), Relaxed);
        }

        let window_address = self.gmc.gtt.start + window as u64 * WINDOW_BYTES;
        let commands = &mut queue.commands;
        let mut push = |packet| commands.push(self.aperture.bar(), hw.parent, packet);
        if !job.is_cancelled() {
            job.work
                .next_chunk(progress, window_address, |packet| push(job.packet(packet)))?;
        }

        let mut inflight = self.inflight.lock();
        inflight.seqno += 1;
        push(Packet::Fence {
            value: inflight.seqno,
            to: self.gmc.vram.start + self.fence,
        })?;

        if is_windowed {
            queue.windows[window] = inflight.seqno;
        }
        Ok(inflight.seqno)
    }
}
