// SPDX-License-Identifier: GPL-2.0

//! All of VRAM: what is free of its two parts, what is reserved, and what is being zeroed.

use core::ops::Range;

use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    },
    time::Msecs, //
};

use crate::{
    abstractions::{
        dma::fence::Fence,
        gpu_buddy::Blocks,
        ttm::Request, //
    },
    mgr::vram_mgr::{
        parts::Parts,
        reservations::{
            Reason,
            Reservations, //
        },
        search::Search,
        wiping::{
            Due,
            Wiper,
            Wiping,
            DELAY, //
        }, //
    }, //
};

/// All of VRAM.
pub(super) struct Memory {
    pub(super) parts: Parts,
    pub(super) reservations: Reservations,
    pub(super) wiping: Wiping,
    size: u64,
}

/// What VRAM is used for, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Sheet {
    /// What buffers have.
    pub(crate) buffers: u64,
    /// What the driver needs itself.
    pub(crate) driver: u64,
    /// What is reserved because of memory errors.
    pub(crate) bad_pages: u64,
    /// What is reserved because somebody asked for it.
    pub(crate) requested: u64,
    /// What is being zeroed.
    pub(crate) wiping: u64,
    /// What is free and known to be zero.
    pub(crate) clean: u64,
    /// What is free and not known to be zero.
    pub(crate) dirty: u64,
}

/// What came of a search.
pub(super) enum Found {
    /// Blocks.
    Blocks(Blocks),
    /// Nothing, but there will be more when this fence is signalled.
    Later(ARef<Fence>),
}

impl Memory {
    /// `size` bytes of VRAM, of which the CPU can reach the first `visible_size`, and of which the first
    /// `own` are the driver's.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a size that is less than a page, or if `own` does not fit; `ENOMEM`.
    pub(super) fn new(size: u64, visible_size: u64, own: u64) -> Result<Self> {
        let mut parts = Parts::new(size, visible_size)?;
        let reservations = Reservations::new(&mut parts, own)?;

        Ok(Self {
            parts,
            reservations,
            wiping: Wiping::new(size),
            size,
        })
    }

    /// Bytes that are not free.
    pub(super) fn used(&self) -> u64 {
        self.size - self.parts.avail() - self.wiping.bytes()
    }

    /// What VRAM is used for.
    pub(super) fn sheet(&self) -> Sheet {
        let reserved = self.reservations.total();
        let dirty = self.parts.dirty_avail();

        Sheet {
            buffers: self.used() - reserved.bytes,
            driver: reserved.of(Reason::Driver),
            bad_pages: reserved.of(Reason::BadPage),
            requested: reserved.of(Reason::Request),
            wiping: self.wiping.bytes(),
            clean: self.parts.avail() - dirty,
            dirty,
        }
    }

    /// Allocates blocks for a request. If it `may_wait`, it would rather wait for what is being zeroed
    /// than make a compromise, or find nothing: who gets [`Found::Later`] counts as
    /// [waiting](Wiping::waiting).
    ///
    /// # Errors
    ///
    /// `ENOSPC`, `ENOMEM`.
    pub(super) fn find(&mut self, request: &Request<'_>, may_wait: bool) -> Result<Found> {
        self.collect();

        let zeroed = self.wiping.bytes();
        let more = self
            .wiping
            .fence()
            .filter(|_| may_wait && self.parts.avail() + zeroed >= request.size());
        // What is being zeroed may be better than what a compromise gives.
        let compromise = more.is_none() || zeroed < request.size();
        let result = Search::new(&mut self.parts, request, self.size, compromise)
            .and_then(|mut search| search.blocks());

        match (result, more) {
            (Ok(blocks), _) => Ok(Found::Blocks(blocks)),
            // The allocator returns `EINVAL` for some requests that cannot be met in this place.
            (Err(ENOSPC | EINVAL), Some(fence)) => {
                self.wiping.waiting += 1;
                Ok(Found::Later(fence))
            }
            (Err(EINVAL), None) => Err(ENOSPC),
            (Err(err), _) => Err(err),
        }
    }

    /// Takes blocks back, and tries again to reserve what is pending there.
    pub(super) fn give_back(&mut self, blocks: Blocks, cleared: bool) {
        for range in blocks.iter() {
            self.reservations.note_freed(&range);
        }
        self.parts.free(blocks, cleared);
        self.reservations.reserve_freed(&mut self.parts);
    }

    /// Whether something is free, or reserved, that is not zero.
    fn is_dirty(&self) -> bool {
        self.parts.dirty_avail() > 0 || self.reservations.num_soiled() > 0
    }

    /// Sets who zeroes memory. Returns who did so far.
    pub(super) fn set_wiper(&mut self, wiper: Option<Arc<dyn Wiper>>) -> Option<Arc<dyn Wiper>> {
        let previous = core::mem::replace(&mut self.wiping.wiper, wiper);

        self.wiping.due = Due::Never;
        self.kick_wiper();
        previous
    }

    /// Has what is free zeroed, if it is not zero.
    pub(super) fn kick_wiper(&mut self) {
        let is_much = self.parts.dirty_avail() >= self.wiping.most;
        let is_dirty = is_much || self.is_dirty();

        match self.wiping.due {
            Due::Never | Due::Soon if is_much => self.wiping.kick(Due::Now),
            Due::Never if is_dirty => self.wiping.kick(Due::Soon),
            _ => (),
        }
    }

    /// As [`VramMgr::wipe`](super::VramMgr::wipe).
    ///
    /// # Errors
    ///
    /// Those of [`VramMgr::wipe`](super::VramMgr::wipe).
    pub(super) fn wipe(
        &mut self,
        submit: impl FnOnce(&mut dyn Iterator<Item = Range<u64>>) -> Result<ARef<Fence>>,
    ) -> Result<Option<ARef<Fence>>> {
        self.collect();
        self.wiping.due = Due::Never;
        if let Some(fence) = self.wiping.fence() {
            return Ok(Some(fence));
        }
        if !self.wiping.may_begin() {
            return Ok(None);
        }

        let (most, ranges) = self.wiping.next_limits();
        let soiled = self.reservations.num_soiled().min(ranges / 2);
        let dirty = self.parts.alloc_dirty(most, ranges - soiled);
        if dirty.is_none() && soiled == 0 {
            return Ok(None);
        }

        let result = submit(&mut Iterator::chain(
            dirty.iter().flat_map(Blocks::iter),
            self.reservations.soiled(soiled),
        ));
        match (&result, dirty) {
            (Ok(fence), dirty) => {
                self.reservations.note_washed(soiled);
                if let Some(blocks) = dirty {
                    self.wiping.is_full = blocks.iter().count() + soiled >= ranges;
                    self.wiping.begin(blocks, fence.clone());
                }
            }
            (Err(_), Some(blocks)) => self.parts.undo(blocks),
            (Err(_), None) => (),
        }
        result.map(Some)
    }

    /// As [`VramMgr::wiped`](super::VramMgr::wiped).
    pub(super) fn wiped(&mut self) -> Option<Msecs> {
        self.collect();
        if !self.is_dirty() {
            self.wiping.all_is_zero();
            return None;
        }
        if self.wiping.rests {
            return None;
        }
        let is_much = self.wiping.is_full || self.parts.dirty_avail() >= self.wiping.most;
        let is_now = is_much && self.wiping.may_begin();

        self.wiping.due = if is_now { Due::Now } else { Due::Soon };
        Some(if is_now { 0 } else { DELAY })
    }

    /// Notes that VRAM has lost its content, so that nothing is known to be zero.
    pub(super) fn content_lost(&mut self) {
        self.collect();
        self.wiping.content_lost();
        // No block has to be split for that, so it takes no memory.
        let _ = self.parts.forget_clean(|_| Ok(()));
    }

    /// Frees what was being zeroed, if the job has ended.
    fn collect(&mut self) {
        let Some(status) = self.wiping.fence().and_then(|fence| fence.status()) else {
            return;
        };

        if let Some((blocks, is_lost)) = self.wiping.take() {
            self.give_back(blocks, status.is_ok() && !is_lost);
        }
    }

    /// Gives all memory back to the allocator.
    pub(super) fn free_all(&mut self) {
        if let Some((blocks, _)) = self.wiping.take() {
            self.parts.free(blocks, false);
        }
        self.reservations.free_all(&mut self.parts);
    }
}
