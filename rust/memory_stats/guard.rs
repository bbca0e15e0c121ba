// SPDX-License-Identifier: GPL-2.0

//! Operations under way: guards that carry the start time, know success from failure, and cannot be
//! forgotten.

use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        atomic::Atomic, //
    }, //
};

use super::{
    counters::failure,
    leak::Tracked,
    MemoryStats, //
};
use crate::{
    bo::{
        Bo,
        Domain, //
    },
    trace,
    ttm::Moved, //
};

/// A creation under way. Dropped without a result, it counts as failed.
#[must_use = "it counts as failed when dropped"]
pub(crate) struct AllocGuard<'a> {
    pub(super) stats: &'a MemoryStats,
    pub(super) start: i64,
    pub(super) failed: Option<Error>,
}

impl AllocGuard<'_> {
    /// The creation ended so.
    pub(crate) fn alloc_end(mut self, result: &Result<ARef<Bo>>) {
        self.failed = result.as_ref().err().copied();
        if let Ok(bo) = result {
            let ns = self.stats.clock.now() - self.start;

            self.stats.alloc.record(ns);
            trace::bo_create(
                &self.stats.dev,
                bo.tracking.id,
                bo.param.size,
                bo.param.domains.into(),
                bo.param.flags.into(),
                bo.tracking.placement(),
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

/// When the free of a buffer began.
pub(crate) struct FreeStart(pub(super) Atomic<i64>);

impl FreeStart {
    /// It did not yet.
    pub(crate) const fn new() -> Self {
        Self(Atomic::new(0))
    }
}

/// A move under way. Dropped without a result, it was none.
#[must_use = "it counts only when told the result"]
pub(crate) struct MoveGuard<'a> {
    pub(super) stats: &'a MemoryStats,
    pub(super) start: i64,
    pub(super) tracked: &'a Tracked,
    pub(super) from: Domain,
    pub(super) to: Domain,
    pub(super) evict: bool,
}

impl MoveGuard<'_> {
    /// The move ended so. One that the copy engine has still to do takes the time that the engine
    /// tells ([`MemoryStats::moved_by_engine`]).
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
            self.stats.evicted.add(param.size);
        }
    }
}
