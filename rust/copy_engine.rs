// SPDX-License-Identifier: GPL-2.0

//! The copy engine: the part of the card that copies and clears memory.
//!
//! # Jobs and chunks
//!
//! A *job* is one copy or one clear, with a `dma_fence` that is signalled when it has ended. The
//! engine executes jobs in the order in which they were submitted.
//!
//! A job is split into *chunks*. A chunk is a run of copy or clear packets and one FENCE packet.
//! When the card reaches a FENCE packet, it writes the packet's sequence number to VRAM and raises
//! an interrupt. Sequence numbers only grow, so the last one in VRAM says how far the card is.
//!
//! System pages that have no GPU address are accessed through the *transfer windows*, two fixed
//! ranges at the start of the GTT window. Each chunk of such a job maps its pages in one of them.
//!
//! # Submission and completion
//!
//! [`SubmitQueue`](queue::SubmitQueue) has the jobs that are not wholly in the command ring,
//! because the ring is full or no transfer window is free. [`InFlight`](inflight::InFlight) has the
//! jobs that are, until their last FENCE packet is reached. The hard interrupt handler signals the
//! fences of jobs that have ended. Everything else is left to the interrupt thread: submitting
//! chunks for which there is room now, and errors.
//!
//! # Errors
//!
//! An interrupt may be lost. So a watchdog runs every 100 ms as long as there is work, and does
//! what the interrupt would have done. If the card reports an error, or makes no progress for 3 s,
//! the engine is stopped and started again. If it does not stop, the whole card is reset. Then all
//! unfinished jobs are submitted again from their beginning. This is safe because the engine works
//! in order: no later job has overwritten the source of an unfinished copy.
//!
//! If the engine fails three times at the same job, or three times without having had a job in
//! between, it is *wedged*: it is not used any more, the
//! fences of all its jobs are signalled with `EIO`, and new jobs are refused with `EIO`.
//!
//! # Locking
//!
//! The order is: resv, then `queue`, then the aperture's semaphore, then the GART's mutex.
//! `inflight` is a spinlock that the hard interrupt handler takes, and is inside of `queue`; only
//! the lock of a `dma_fence` is inside of it. No memory is allocated under any of these, because
//! fences are signalled under them, and an allocation may wait for memory reclaim, which may wait
//! for a fence.

mod admission;
mod client_queue;
mod engine;
mod inflight;
mod interrupt;
mod job;
mod queue;
mod ranges;
mod recovery;
mod sleep;
mod start_stop;
mod submit;
mod transfer;

pub(crate) use self::{
    engine::{
        ClientJobs,
        CopyEngine,
        Engine,
        Listener, //
    },
    job::JobOwner,
    ranges::{
        CopyEnd,
        Ranges, //
    },
    start_stop::{
        Open,
        Running, //
    },
    transfer::{
        EngineClient,
        Transfer, //
    }, //
};
