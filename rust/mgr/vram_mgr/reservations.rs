// SPDX-License-Identifier: GPL-2.0

//! Reservations: ranges of VRAM that are never allocated to buffers.
//!
//! A range is reserved at once if it is free. Otherwise the reservation is *pending*: it is tried
//! again when memory in its range is freed.
//!
//! The reservations are in a tree by the end of their ranges, which do not overlap. So the first that
//! ends behind an address is the first that may have it, and is found in logarithmic time. The bytes
//! of all are counted where they change.

use core::ops::Range;

use kernel::{
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    }, //
};

use crate::{
    abstractions::gpu_buddy::Blocks,
    mgr::vram_mgr::parts::Parts, //
};

/// Most reservations of a card. A card with more bad pages than that is not worth using.
pub(super) const MAX_RESERVATIONS: usize = 4096;

/// Why a range is not allocated to buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The driver needs it itself.
    Driver,
    /// It had a memory error.
    BadPage,
    /// Somebody asked for that.
    Request,
}

impl Reason {
    const COUNT: usize = 3;
}

/// A range that is not allocated to buffers.
pub(super) struct Reservation {
    /// Bytes.
    pub(super) range: Range<u64>,
    reason: Reason,
    state: State,
}

enum State {
    /// A buffer has a part of the range.
    Pending {
        /// Whether memory in the range was freed since it was last tried.
        freed: bool,
    },
    Reserved {
        blocks: Blocks,
        /// Whether the range may still hold something of a client's.
        soiled: bool,
    },
}

impl Reservation {
    /// Whether it is reserved or pending.
    pub(super) fn status(&self) -> PageStatus {
        match self.state {
            State::Reserved { .. } => PageStatus::Reserved,
            State::Pending { .. } => PageStatus::Pending,
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

/// Bytes of the ranges that are reserved.
#[derive(Clone, Copy, Default)]
pub(super) struct Total {
    /// All of them.
    pub(super) bytes: u64,
    /// Those inside the aperture.
    pub(super) visible: u64,
    by_reason: [u64; Reason::COUNT],
}

/// All reservations of a card. They are never given up.
pub(super) struct Reservations {
    /// By the end of the range.
    all: RBTree<u64, Reservation>,
    count: usize,
    pending: usize,
    /// How many are soiled.
    soiled: usize,
    total: Total,
    /// The ends of the first and of the last pending one in which memory was freed.
    freed: Option<(u64, u64)>,
}

impl Reservations {
    /// Reservations of which one is the first `own` bytes, unless that is 0.
    ///
    /// # Errors
    ///
    /// `EINVAL` if these bytes do not fit; `ENOMEM`.
    pub(super) fn new(parts: &mut Parts, own: u64) -> Result<Self> {
        let mut this = Self {
            all: RBTree::new(),
            count: 0,
            pending: 0,
            soiled: 0,
            total: Total::default(),
            freed: None,
        };

        if own > 0 {
            // Before the blocks, which would be lost with what cannot be inserted.
            let node = RBTreeNodeReservation::new(GFP_KERNEL)?;
            let blocks = parts.alloc_exactly(&(0..own))?;
            let state = State::Reserved {
                blocks,
                soiled: false,
            };

            this.insert(node, 0..own, Reason::Driver, state);
            this.total.add(&(0..own), Reason::Driver, parts.border);
        }
        Ok(this)
    }

    fn insert(
        &mut self,
        node: RBTreeNodeReservation<u64, Reservation>,
        range: Range<u64>,
        reason: Reason,
        state: State,
    ) {
        let rsv = Reservation {
            range,
            reason,
            state,
        };

        self.all.insert(node.into_node(rsv.range.end, rsv));
        self.count += 1;
    }

    /// The range and the status of the first reservation that ends behind `address`.
    pub(super) fn behind(&self, address: u64) -> Option<(Range<u64>, PageStatus)> {
        let cursor = self.all.cursor_lower_bound(&address.checked_add(1)?)?;
        let (_, rsv) = cursor.current();

        Some((rsv.range.clone(), rsv.status()))
    }

    /// Reserves a range, now or when it is free.
    ///
    /// # Errors
    ///
    /// `EEXIST` if part of the range is reserved or pending already; `ENOSPC` if there are
    /// [`MAX_RESERVATIONS`]; `ENOMEM`.
    pub(super) fn add(&mut self, parts: &mut Parts, range: Range<u64>, reason: Reason) -> Result {
        if self
            .behind(range.start)
            .is_some_and(|(other, _)| other.start < range.end)
        {
            return Err(EEXIST);
        }
        if self.count >= MAX_RESERVATIONS {
            return Err(ENOSPC);
        }

        let node = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let state = State::Pending { freed: false };

        self.insert(node, range.clone(), reason, state);
        self.pending += 1;
        self.note_freed(&range);
        self.reserve_freed(parts);
        Ok(())
    }

    /// Notes that memory is being freed, so that it is worth trying again to reserve it.
    pub(super) fn note_freed(&mut self, range: &Range<u64>) {
        if self.pending == 0 {
            return;
        }
        let mut cursor = self.all.cursor_lower_bound_mut(&(range.start + 1));

        while let Some(mut at) = cursor {
            let (&end, rsv) = at.current_mut();
            if rsv.range.start >= range.end {
                break;
            }
            if let State::Pending { freed } = &mut rsv.state {
                *freed = true;
                self.freed = Some(match self.freed {
                    Some((first, last)) => (first.min(end), last.max(end)),
                    None => (end, end),
                });
            }
            cursor = at.move_next();
        }
    }

    /// Tries to reserve what is pending and was [noted](Self::note_freed).
    pub(super) fn reserve_freed(&mut self, parts: &mut Parts) {
        let Some((first, last)) = self.freed.take() else {
            return;
        };
        let mut cursor = self.all.cursor_lower_bound_mut(&first);

        while let Some(mut at) = cursor {
            let (&end, rsv) = at.current_mut();
            if end > last {
                break;
            }
            if let State::Pending { freed: true } = rsv.state {
                rsv.state = match parts.alloc_exactly(&rsv.range) {
                    Ok(blocks) => {
                        let soiled = blocks.dirty().next().is_some();

                        self.pending -= 1;
                        self.soiled += usize::from(soiled);
                        self.total.add(&rsv.range, rsv.reason, parts.border);
                        State::Reserved { blocks, soiled }
                    }
                    Err(_) => State::Pending { freed: false },
                };
            }
            cursor = at.move_next();
        }
    }

    /// How many may still hold something of a client's.
    pub(super) fn num_soiled(&self) -> usize {
        self.soiled
    }

    /// The ranges that may still hold something of a client's, up to `most` of them.
    pub(super) fn soiled(&self, most: usize) -> impl Iterator<Item = Range<u64>> + '_ {
        self.all
            .values()
            .filter(|rsv| matches!(rsv.state, State::Reserved { soiled: true, .. }))
            .take(most.min(self.soiled))
            .map(|rsv| rsv.range.clone())
    }

    /// Notes that the ranges are being zeroed that [`soiled`](Self::soiled) returns.
    pub(super) fn note_washed(&mut self, most: usize) {
        let all = self
            .all
            .values_mut()
            .filter_map(|rsv| match &mut rsv.state {
                State::Reserved { soiled, .. } if *soiled => Some(soiled),
                _ => None,
            });

        for soiled in all.take(most.min(self.soiled)) {
            *soiled = false;
            self.soiled -= 1;
        }
    }

    /// All reservations, from the start of VRAM on.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Reservation> {
        self.all.values()
    }

    /// Bytes that no buffer has any more.
    pub(super) fn total(&self) -> Total {
        self.total
    }

    /// Gives all memory back to the allocator.
    pub(super) fn free_all(&mut self, parts: &mut Parts) {
        for rsv in self.all.values_mut() {
            let state = core::mem::replace(&mut rsv.state, State::Pending { freed: false });

            if let State::Reserved { blocks, .. } = state {
                parts.free(blocks, false);
            }
        }
    }
}

impl Total {
    /// Bytes that are reserved for this reason.
    pub(super) fn of(&self, reason: Reason) -> u64 {
        // CAST: These are the indices.
        self.by_reason[reason as usize]
    }

    fn add(&mut self, range: &Range<u64>, reason: Reason, border: u64) {
        let bytes = range.end - range.start;

        self.bytes += bytes;
        // CAST: As above.
        self.by_reason[reason as usize] += bytes;
        self.visible += range.end.min(border) - range.start.min(border);
    }
}
