// SPDX-License-Identifier: GPL-2.0

//! The zeroing of what is free: much of it at a time, with one job of the engine.
//!
//! A buffer that is freed leaves its content in VRAM. To have it zeroed alone would take a job, an
//! interrupt and a deferred free for each buffer. So it is free at once, and a [`Wiper`] zeroes all
//! that has become free within [`DELAY`]. As much as a [`SHARE`]th of VRAM does not wait.
//!
//! Meanwhile nobody sees it: the allocator knows what is not zero, and a buffer that gets such
//! memory is cleared first. Blocks that are being zeroed are nobody's. Whoever finds no room without
//! them waits for them, and the next job begins only after that.
//!
//! A client that frees as fast as the engine zeroes could keep it from what others have left. So when
//! something was dirty throughout [`SHARE`] jobs, the next one has no limit. What is freed is gone,
//! then, after [`DELAY`] and the time in which the engine zeroes as much as twice all of VRAM.

use kernel::{
    sync::{
        aref::ARef,
        Arc, //
    },
    time::Msecs, //
};

use crate::abstractions::{
    dma::fence::Fence,
    gpu_buddy::Blocks, //
};

/// ms for which freed memory waits for more of it.
pub(crate) const DELAY: Msecs = 10;
/// A job zeroes at most one part in this many of VRAM. So most of it can always be allocated, and who
/// waits for it does not wait for long.
const SHARE: u64 = 8;
/// Most ranges of a job: as many as a chunk has packets.
const MAX_RANGES: usize = 512;
/// Most ranges of a job without other limits. To free so many takes longer than to zero them.
const ALL_RANGES: usize = 32 * MAX_RANGES;

/// Who zeroes memory.
pub(crate) trait Wiper: Send + Sync {
    /// Has [`VramMgr::wipe`](super::VramMgr::wipe) called in `delay` ms at the latest. The lock of the
    /// manager is held.
    fn wipe_within(&self, delay: Msecs);
}

/// When memory will be zeroed that is free now.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Never,
    Soon,
    Now,
}

/// A job that zeroes memory.
struct Batch {
    blocks: Blocks,
    fence: ARef<Fence>,
    /// Bytes of the blocks.
    bytes: u64,
    /// Whether VRAM has lost its content since the job began.
    is_lost: bool,
}

/// What is being zeroed, and what will be.
pub(super) struct Wiping {
    /// Bytes of a job.
    pub(super) most: u64,
    pub(super) wiper: Option<Arc<dyn Wiper>>,
    pub(super) due: Due,
    batch: Option<Batch>,
    /// Whether the last job had as many ranges as a job can have.
    pub(super) is_full: bool,
    /// Jobs since all was zero.
    jobs: u64,
    /// How many wait for the job because they have found no room. The next one begins after that.
    pub(super) waiting: usize,
    /// Whether the card is at rest.
    pub(super) rests: bool,
}

impl Wiping {
    /// Nothing yet, in `size` bytes of VRAM.
    pub(super) fn new(size: u64) -> Self {
        Self {
            most: size / SHARE,
            wiper: None,
            due: Due::Never,
            batch: None,
            is_full: false,
            jobs: 0,
            waiting: 0,
            rests: false,
        }
    }

    /// Bytes that are being zeroed.
    pub(super) fn bytes(&self) -> u64 {
        self.batch.as_ref().map_or(0, |batch| batch.bytes)
    }

    /// The fence of the job that zeroes them.
    pub(super) fn fence(&self) -> Option<ARef<Fence>> {
        self.batch.as_ref().map(|batch| batch.fence.clone())
    }

    /// Whether a job may begin.
    pub(super) fn may_begin(&self) -> bool {
        self.waiting == 0 && !self.rests
    }

    /// Most bytes and ranges of the next job.
    pub(super) fn next_limits(&self) -> (u64, usize) {
        if self.jobs < SHARE {
            (self.most, MAX_RANGES)
        } else {
            (u64::MAX, ALL_RANGES)
        }
    }

    /// Notes that `blocks` are being zeroed by a job with this fence.
    pub(super) fn begin(&mut self, blocks: Blocks, fence: ARef<Fence>) {
        self.jobs = if self.jobs < SHARE { self.jobs + 1 } else { 0 };
        self.batch = Some(Batch {
            bytes: blocks.size(),
            blocks,
            fence,
            is_lost: false,
        });
    }

    /// Takes the blocks out. Returns with them whether VRAM has lost its content since.
    pub(super) fn take(&mut self) -> Option<(Blocks, bool)> {
        self.batch.take().map(|batch| (batch.blocks, batch.is_lost))
    }

    /// Notes that VRAM has lost its content.
    pub(super) fn content_lost(&mut self) {
        if let Some(batch) = &mut self.batch {
            batch.is_lost = true;
        }
    }

    /// Notes that nothing is left to be zeroed.
    pub(super) fn all_is_zero(&mut self) {
        self.jobs = 0;
    }

    /// Calls the wiper, if there is one and the card is not at rest.
    pub(super) fn kick(&mut self, due: Due) {
        if let Some(wiper) = self.wiper.as_ref().filter(|_| !self.rests) {
            wiper.wipe_within(if due == Due::Now { 0 } else { DELAY });
            self.due = due;
        }
    }
}
