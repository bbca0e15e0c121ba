// SPDX-License-Identifier: GPL-2.0

//! Guards that measure an operation in progress.
//!
//! A guard has the start time, and is consumed by the result of the operation. If an early return
//! drops a creation's guard instead, the creation is counted as failed.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

use crate::{
    abstractions::ttm::Moved,
    memory_stats::{
        counters::failure,
        leak::Tracked,
        stats::MemoryStats, //
    },
    trace,
    uapi::Domain, //
};

impl MemoryStats {
    /// Begins to measure a creation. [`AllocGuard::alloc_end`] ends it.
    pub(crate) fn alloc_start(&self) -> AllocGuard<'_> {
        AllocGuard {
            stats: self,
            start: self.clock.now(),
            failed: Some(ECANCELED),
        }
    }

    /// Begins to measure a free. The buffer keeps the start time in `start`.
    pub(crate) fn free_start(&self, start: &FreeStart) {
        start.0.store(self.clock.now(), Relaxed);
    }

    /// Ends the measurement of a free. Called by the destructor of a buffer whose creation
    /// succeeded.
    pub(crate) fn free_end(&self, tracked: &Tracked, start: &FreeStart) {
        let now = self.clock.now();
        let ns = now - start.0.load(Relaxed);

        self.free.record(ns);
        trace::bo_free(
            &self.dev,
            tracked.id,
            tracked.param.size,
            (self.clock.coarse() - tracked.created).unsigned_abs(),
            ns.unsigned_abs(),
        );
        if tracked.was_suspected() {
            self.trace_leak(tracked, trace::LEAK_FREED, self.clock.coarse());
        }
    }

    /// Begins to measure a move. `evict` says that the kernel moves the buffer to make room.
    pub(crate) fn move_start<'a>(
        &'a self,
        tracked: &'a Tracked,
        from: Domain,
        to: Domain,
        evict: bool,
    ) -> MoveGuard<'a> {
        MoveGuard {
            stats: self,
            start: self.clock.now(),
            tracked,
            from,
            to,
            evict,
        }
    }
}

/// A creation in progress. If it is dropped without a result, the creation counts as failed.
#[must_use = "the creation counts as failed when this is dropped"]
pub(crate) struct AllocGuard<'a> {
    stats: &'a MemoryStats,
    start: i64,
    failed: Option<Error>,
}

impl AllocGuard<'_> {
    /// Ends the creation with `result`: the new buffer, or the error that it failed with.
    pub(crate) fn alloc_end(mut self, result: Result<&Tracked>) {
        self.failed = result.err();
        if let Ok(tracked) = result {
            let ns = self.stats.clock.now() - self.start;

            self.stats.alloc.record(ns);
            trace::bo_create(
                &self.stats.dev,
                tracked.id,
                tracked.param.size,
                tracked.param.domains.into(),
                tracked.param.flags.into(),
                tracked.placement(),
                ns.unsigned_abs(),
            );
        }
    }
}

impl Drop for AllocGuard<'_> {
    fn drop(&mut self) {
        if let Some(err) = self.failed {
            self.stats.failures[failure(err)].add(1);
        }
    }
}

/// When the free of a buffer began, in ns of the statistics' clock.
pub(crate) struct FreeStart(Atomic<i64>);

impl FreeStart {
    /// For a buffer that is not being freed.
    pub(crate) const fn new() -> Self {
        Self(Atomic::new(0))
    }
}

/// A move in progress. If it is dropped without a result, nothing is counted.
#[must_use = "the move is not counted when this is dropped"]
pub(crate) struct MoveGuard<'a> {
    stats: &'a MemoryStats,
    start: i64,
    tracked: &'a Tracked,
    from: Domain,
    to: Domain,
    evict: bool,
}

impl MoveGuard<'_> {
    /// Ends the move with this result.
    ///
    /// For [`Moved::Fenced`] the duration is not known yet. The copy engine records it when the
    /// copy has ended ([`MemoryStats::moved_by_engine`]).
    pub(crate) fn move_end(self, result: &Result<Moved>) {
        let ns = self.stats.clock.now() - self.start;
        let Tracked { id, param, .. } = self.tracked;
        let (from, to) = (self.from as u32, self.to as u32);
        let errno = result.as_ref().err().map_or(0, |err| err.to_errno());

        trace::bo_move(
            &self.stats.dev,
            *id,
            param.size,
            from,
            to,
            self.evict,
            ns.unsigned_abs(),
            errno,
        );
        match result {
            Ok(Moved::Now) => self.stats.move_.record(ns),
            Ok(Moved::Fenced) => (),
            Err(_) => return,
        }

        self.stats.moves(self.from, self.to).add(param.size);
        if self.evict {
            trace::bo_evict(&self.stats.dev, *id, param.size, from, to);
            self.stats.events.evictions(1);
            self.stats.events.evicted_bytes(param.size);
        }
    }
}
