// SPDX-License-Identifier: GPL-2.0

//! The GTT manager: addresses in the card's GTT window for pages of system memory.
//!
//! It hands out pages of the window by `drm_mm`, best fit. The first pages are the transfer windows,
//! which are kept out of it. A buffer that only passes through ([`Place::temporary`]) takes no address
//! and fits however full the window is; but as long as it is there, it leaves less to those that stay.
//! Everything here is in pages of 4 KiB, but for what says bytes.

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
    hw::gmc::RESERVED_PAGES,
    memory_stats::{
        Heap,
        Stats, //
    }, //
};

/// The manager of `TTM_PL_TT`.
pub(crate) struct GttMgr {
    mm: Arc<Mm>,
    /// Pages that buffers may have.
    pages: Range<u64>,
    stats: Arc<Stats>,
}

/// A buffer's part of the GTT window.
#[pin_data]
pub(crate) struct GttResource {
    #[pin]
    node: Node,
    /// Bytes of the buffer.
    size: u64,
}

impl GttMgr {
    /// A manager for a window of `size` bytes, more than [`RESERVED_SIZE`].
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

    /// Calls `f` for the pages of each buffer that has an address, lowest first. `f` must not sleep. What
    /// they are bound to, the GART knows, and restores by itself after a reset.
    pub(crate) fn recover(&self, f: impl FnMut(Range<u64>)) {
        self.mm.for_each_range(f);
    }

    /// Bytes that buffers may take up, in all.
    pub(crate) fn usable(&self) -> u64 {
        (self.pages.end - self.pages.start) << PAGE_SHIFT
    }
}

impl ResourceManager for GttMgr {
    type Resource = GttResource;

    const USE_TT: bool = true;

    fn alloc<'a>(&'a self, request: &'a Request<'a>) -> impl PinInit<GttResource, Error> + 'a {
        pin_init::pin_init_scope(move || {
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
                _: {
                    self.stats.take(Heap::Gtt, *size);
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
        let (mut buffers, mut pages) = (0u64, 0u64);

        self.recover(|range| {
            buffers += 1;
            pages += range.end - range.start;
        });
        drm_print!(
            p,
            "  addresses: {} buffers with {} pages of {} bytes, first {} pages for transfers\n",
            buffers,
            pages,
            PAGE_SIZE,
            self.pages.start
        );
        self.mm.print(p);
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/mgr/gtt_mgr.rs"]
mod kunit;
