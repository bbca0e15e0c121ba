// SPDX-License-Identifier: GPL-2.0

//! Reservations: ranges of VRAM that are never allocated to buffers.
//!
//! A range is reserved at once if it is free. Otherwise the reservation is *pending*: it is tried
//! again each time a buffer in VRAM is freed.

use core::ops::Range;

use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

use crate::abstractions::gpu_buddy::{
    AllocFlags,
    AllocMode,
    Blocks,
    Buddy, //
};

/// Most reservations of a card. A card with more bad pages than that is not worth using, and each
/// free looks at the pending ones.
pub(super) const MAX_RESERVATIONS: usize = 4096;

/// A range that is not allocated to buffers.
pub(super) struct Reservation {
    /// Bytes.
    pub(super) range: Range<u64>,
    /// The blocks of the range; [`None`] as long as the reservation is pending.
    blocks: Option<Blocks>,
}

impl Reservation {
    /// Whether it is reserved or pending.
    pub(super) fn status(&self) -> PageStatus {
        match self.blocks {
            Some(_) => PageStatus::Reserved,
            None => PageStatus::Pending,
        }
    }
}

/// The status of a page that belongs to a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageStatus {
    /// A buffer still has a part of the reservation's range.
    Pending,
    /// The page is reserved.
    Reserved,
}

/// All reservations of a card. They are never given up.
pub(super) struct Reservations(KVec<Reservation>);

impl Reservations {
    /// Reservations of which one is the first `own` bytes, unless that is 0.
    ///
    /// # Errors
    ///
    /// `EINVAL` if these bytes do not fit; `ENOMEM`.
    pub(super) fn new(mm: &mut Buddy, own: u64) -> Result<Self> {
        let mut this = Self(KVec::with_capacity(1, GFP_KERNEL)?);

        if own > 0 {
            let range = 0..own;
            let blocks = alloc(mm, &range)?;

            this.0.push(
                Reservation {
                    range,
                    blocks: Some(blocks),
                },
                GFP_KERNEL,
            )?;
        }
        Ok(this)
    }

    /// Adds a pending reservation.
    ///
    /// # Errors
    ///
    /// `EEXIST` if part of the range is reserved or pending already; `ENOSPC` if there are
    /// [`MAX_RESERVATIONS`]; `ENOMEM`.
    pub(super) fn add(&mut self, range: Range<u64>) -> Result {
        if self
            .iter()
            .any(|rsv| rsv.range.start < range.end && range.start < rsv.range.end)
        {
            return Err(EEXIST);
        }
        if self.0.len() >= MAX_RESERVATIONS {
            return Err(ENOSPC);
        }

        self.0.push(
            Reservation {
                range,
                blocks: None,
            },
            GFP_KERNEL,
        )?;
        Ok(())
    }

    /// Tries to allocate the ranges of pending reservations.
    pub(super) fn do_reserve(&mut self, mm: &mut Buddy) {
        for rsv in self.0.iter_mut() {
            if rsv.blocks.is_none() {
                rsv.blocks = alloc(mm, &rsv.range).ok();
            }
        }
    }

    /// All reservations.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Reservation> {
        self.0.iter()
    }

    /// The ranges that no buffer has any more.
    pub(super) fn reserved(&self) -> impl Iterator<Item = &Range<u64>> {
        self.iter()
            .filter(|rsv| rsv.status() == PageStatus::Reserved)
            .map(|rsv| &rsv.range)
    }

    /// Gives all memory back to the allocator.
    pub(super) fn free_all(&mut self, mm: &mut Buddy) {
        for rsv in self.0.iter_mut() {
            if let Some(blocks) = rsv.blocks.take() {
                mm.free(blocks, false);
            }
        }
    }
}

fn alloc(mm: &mut Buddy, range: &Range<u64>) -> Result<Blocks> {
    mm.alloc(
        &AllocMode::Range(range.clone()),
        range.end - range.start,
        PAGE_SIZE as u64,
        AllocFlags::default(),
    )
}
