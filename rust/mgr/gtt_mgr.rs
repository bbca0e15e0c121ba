// SPDX-License-Identifier: GPL-2.0

//! The GTT manager: it assigns addresses in the card's GTT window to buffers in system memory.
//!
//! The addresses are allocated with `drm_mm`, best fit. The first pages of the window are the
//! transfer windows of the copy engine, and are never assigned.
//!
//! A buffer that is only passing through GTT on a hop ([`Place::temporary`]) gets no address. So a
//! hop cannot fail because the window is full. Its bytes count as used meanwhile, so they may delay
//! others.
//!
//! All numbers are pages of 4 KiB, unless bytes are mentioned.

use core::ops::Range;

use kernel::{
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::Arc, //
};

use crate::{
    abstractions::{
        drm::{
            drm_print,
            mm::{
                Fit,
                Mm,
                Node, //
            },
            Printer, //
        },
        ttm::{
            Layout,
            Place,
            Request,
            ResourceManager, //
        }, //
    },
    client::{
        Account,
        Booked, //
    },
    hw::gmc::RESERVED_PAGES,
    memory_stats::{
        Heap,
        Stats, //
    },
    uapi::Domain, //
};

/// The manager of `TTM_PL_TT`.
pub(crate) struct GttMgr {
    mm: Arc<Mm>,
    /// Pages of the window that can be assigned to buffers.
    pages: Range<u64>,
    stats: Arc<Stats>,
}

/// A range of pages of the window.
pub(crate) enum WindowRange {
    /// The pages of a buffer.
    Used(Range<u64>),
    /// Pages between buffers.
    Free(Range<u64>),
}

/// The resource of a buffer in GTT.
#[pin_data]
pub(crate) struct GttResource {
    #[pin]
    node: Node,
    /// Bytes of the buffer.
    size: u64,
    /// Its entry in the books.
    pub(crate) booked: Booked,
}

impl GttMgr {
    /// A manager for a window of `size` bytes, more than
    /// [`RESERVED_SIZE`](crate::hw::gmc::RESERVED_SIZE).
    ///
    /// # Errors
    ///
    /// `EINVAL` for a smaller window, `ENOMEM`.
    pub(crate) fn new(size: u64, stats: Arc<Stats>) -> Result<Self> {
        let pages = RESERVED_PAGES..size >> PAGE_SHIFT;

        Ok(Self {
            mm: Mm::new(pages.clone())?,
            pages,
            stats,
        })
    }

    /// The buffer's range, or the free range, that begins at page `from` or that this page is in.
    /// [`None`] behind the last page.
    ///
    /// Calls that each begin where the range before ended walk the whole window. No lock is held in
    /// between, so buffers may come and go.
    pub(crate) fn range(&self, from: u64) -> Option<WindowRange> {
        let from = from.max(self.pages.start);
        let next = self.mm.next_range(from);
        let end = next.as_ref().map_or(self.pages.end, |next| next.start);

        match next {
            _ if from < end => Some(WindowRange::Free(from..end)),
            Some(next) => Some(WindowRange::Used(from..next.end)),
            None => None,
        }
    }

    /// The number of all pages for buffers, and of those that have been assigned.
    pub(crate) fn total_and_used(&self) -> (u64, u64) {
        (self.pages.end - self.pages.start, self.mm.usage().size)
    }

    /// Bytes that all buffers together may use.
    pub(crate) fn usable(&self) -> u64 {
        (self.pages.end - self.pages.start) << PAGE_SHIFT
    }
}

impl ResourceManager for GttMgr {
    type Resource = GttResource;

    const USE_TT: bool = true;

    fn alloc<'a>(&'a self, request: &'a Request<'a>) -> impl PinInit<GttResource, Error> + 'a {
        pin_init::pin_init_scope(move || {
            let account = if request.place.is_temporary() {
                Account::Hop
            } else {
                Account::Heap(Domain::Gtt)
            };
            let fit = if request.place.is_temporary() {
                None
            } else if request.usage() > self.usable() {
                return Err(ENOSPC);
            } else {
                Some(Fit {
                    size: request.size() >> PAGE_SHIFT,
                    alignment: request.alignment(),
                    range: request.place.range(self.pages.end),
                })
            };

            Ok(try_pin_init!(GttResource {
                node <- Node::new(self.mm.clone(), fit),
                size: request.size(),
                booked: {
                    self.stats.take(Heap::Gtt, *size);
                    self.stats.ledger.allocated(account, *size)
                },
            }? Error))
        })
    }

    fn layout(&self, resource: &GttResource) -> Layout {
        Layout {
            start: resource.node.range().map(|pages| pages.start),
            write_combined: false,
        }
    }

    fn free(&self, resource: Pin<&mut GttResource>) {
        self.stats.ledger.freed(&resource.booked);
        self.stats.give_back(Heap::Gtt, resource.size);
    }

    fn intersects(&self, resource: &GttResource, place: &Place) -> bool {
        let wanted = place.range(self.pages.end);

        resource
            .node
            .range()
            .is_none_or(|pages| pages.start < wanted.end && wanted.start < pages.end)
    }

    fn compatible(&self, resource: &GttResource, place: &Place) -> bool {
        let wanted = place.range(self.pages.end);

        resource
            .node
            .range()
            .is_some_and(|pages| wanted.start <= pages.start && pages.end <= wanted.end)
    }

    fn debug(&self, p: &Printer) {
        let usage = self.mm.usage();

        drm_print!(
            p,
            "  addresses: {} buffers with {} pages of {} bytes, first {} pages for transfers\n",
            usage.ranges,
            usage.size,
            PAGE_SIZE,
            self.pages.start
        );
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/mgr/gtt_mgr.rs"]
mod kunit;
