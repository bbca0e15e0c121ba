// SPDX-License-Identifier: GPL-2.0

//! The VRAM manager: the card's own memory, by the buddy allocator. All numbers are bytes.
//!
//! Besides buffers it knows *reservations*: ranges withheld from buffers, at once or as soon as the
//! buffers that are there now are gone.
//!
//! Lock order: the buffer's resv → `state`.

mod reservations;
mod search;

use core::ops::Range;

use kernel::{
    new_mutex,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    sizes::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    }, //
};

use crate::{
    abstractions::{
        drm::{
            drm_print,
            Printer, //
        },
        gpu_buddy::{
            Blocks,
            Buddy,
            Ranges, //
        },
        ttm::{
            Layout,
            Place,
            Request,
            ResourceManager, //
        }, //
    },
    memory_stats::{
        Heap,
        Stats, //
    },
    mgr::vram_mgr::{
        reservations::{
            Reservation,
            Reservations, //
        },
        search::{
            Search,
            DEFAULT_PAGE_SIZE, //
        }, //
    }, //
};

pub(crate) use self::reservations::PageStatus;

/// VRAM that user space's buffers leave to the kernel's own, at most; of a small VRAM a 32nd.
const KERNEL_RESERVED: u64 = u64::SZ_8M;

struct State {
    mm: Buddy,
    reservations: Reservations,
}

/// What VRAM is used for, in bytes.
pub(crate) struct Usage {
    /// All that is not free.
    pub(crate) used: u64,
    /// What of it is reserved: ranges withheld from buffers, and the driver's own.
    pub(crate) reserved: u64,
    /// What of that is the driver's own.
    pub(crate) own: u64,
    /// What of it the CPU can reach.
    pub(crate) visible: u64,
}

/// VRAM of one buffer.
pub(crate) struct VramResource {
    /// Taken by `free()`.
    blocks: Option<Blocks>,
    /// Bytes of the blocks.
    size: u64,
    /// Bytes of the blocks that the CPU can reach.
    visible: u64,
    /// Whether they are zero by the time they are given back.
    wiped: Atomic<bool>,
}

impl VramResource {
    /// The buffer's ranges of VRAM that were not known to be zero when it got them.
    pub(crate) fn dirty(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.blocks.iter().flat_map(Blocks::dirty)
    }

    /// The buffer is zeroed, and not used any more before its memory is given back.
    pub(crate) fn set_wiped(&self) {
        self.wiped.store(true, Relaxed);
    }

    /// The buffer's ranges of VRAM, in the order of its pages.
    pub(crate) fn ranges(&self) -> Ranges<'_> {
        self.blocks.as_ref().map_or(Ranges::empty(), Blocks::iter)
    }

    /// Bytes of the buffer that the CPU can reach.
    pub(crate) fn visible(&self) -> u64 {
        self.visible
    }
}

/// The manager of `TTM_PL_VRAM`.
#[pin_data(PinnedDrop)]
pub(crate) struct VramMgr {
    #[pin]
    state: Mutex<State>,
    size: u64,
    visible_size: u64,
    /// Bytes at the start of VRAM that are the driver's own.
    own: u64,
    /// Bytes in use that the CPU can reach. Read without a lock.
    vis_usage: Atomic<i64>,
    stats: Arc<Stats>,
}

impl VramMgr {
    /// A manager for `size` bytes, of which the CPU can reach the first `visible_size`, and of which the
    /// driver has the first `own` for itself.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a size that is less than a page, or if `own` does not fit; `ENOMEM`.
    pub(crate) fn new(
        size: u64,
        visible_size: u64,
        own: u64,
        stats: Arc<Stats>,
    ) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(move || {
            let mut mm = Buddy::new(size, PAGE_SIZE as u64)?;
            let reservations = Reservations::new(&mut mm, own)?;

            Ok(try_pin_init!(Self {
                state <- new_mutex!(State {
                    mm,
                    reservations,
                }),
                size,
                visible_size,
                own,
                // CAST: A part of VRAM.
                vis_usage: Atomic::new(*own as i64),
                stats,
            }? Error))
        })
    }

    /// Bytes that user space's buffers may take up, in all, but for reserved ranges.
    pub(crate) fn usable(&self) -> u64 {
        self.size - KERNEL_RESERVED.min(self.size / 32).max(self.own)
    }

    /// Bytes that user space's buffers may take up, in all, where the CPU can reach.
    pub(crate) fn usable_visible(&self) -> u64 {
        self.usable().min(self.visible_size - self.own)
    }

    /// What VRAM is used for now.
    pub(crate) fn usage(&self) -> Usage {
        let state = self.state.lock();

        Usage {
            used: self.size - state.mm.avail(),
            reserved: state
                .reservations
                .reserved()
                .map(|range| range.end - range.start)
                .sum(),
            own: self.own,
            visible: self.vis_usage.load(Relaxed).try_into().unwrap_or(0),
        }
    }

    /// Withholds `range` from buffers: now where it is free, or else once the last buffer that has
    /// part of it is gone. For good.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an empty range, one outside VRAM or not of whole pages; `EEXIST` if part of it is
    /// reserved or pending already; `ENOMEM`.
    pub(crate) fn reserve_range(&self, range: Range<u64>) -> Result {
        let page = PAGE_SIZE as u64;

        if range.is_empty() || range.end > self.size || range.start % page + range.end % page != 0 {
            return Err(EINVAL);
        }

        let mut state = self.state.lock();
        state.reservations.add(range)?;
        self.reserve_pending(&mut state);
        Ok(())
    }

    /// What became of the page at `address`; [`None`] if it was never to be reserved.
    pub(crate) fn query_page_status(&self, address: u64) -> Option<PageStatus> {
        self.state
            .lock()
            .reservations
            .iter()
            .find(|rsv| rsv.range.contains(&address))
            .map(Reservation::status)
    }

    /// Tries again to reserve what is pending, as memory may have become free.
    fn reserve_pending(&self, state: &mut State) {
        let visible = |reservations: &Reservations| -> u64 {
            reservations
                .reserved()
                .map(|range| self.visible(range))
                .sum()
        };
        let before = visible(&state.reservations);
        state.reservations.do_reserve(&mut state.mm);
        let after = visible(&state.reservations);

        self.vis_usage.add((after - before) as i64, Relaxed);
    }

    fn find_blocks(&self, request: &Request<'_>) -> Result<Blocks> {
        let mut state = self.state.lock();
        let mut search = Search {
            mm: &mut state.mm,
            size: self.size,
            visible_size: self.visible_size,
        };

        search.blocks(request)
    }

    /// Bytes of `range` that the CPU can reach.
    fn visible(&self, range: &Range<u64>) -> u64 {
        range.end.min(self.visible_size) - range.start.min(self.visible_size)
    }
}

#[pinned_drop]
impl PinnedDrop for VramMgr {
    fn drop(self: Pin<&mut Self>) {
        let mut guard = self.state.lock();
        let state = &mut *guard;

        state.reservations.free_all(&mut state.mm);
    }
}

impl ResourceManager for VramMgr {
    type Resource = VramResource;

    const USE_TT: bool = false;

    fn alloc<'a>(&'a self, request: &'a Request<'a>) -> impl PinInit<VramResource, Error> + 'a {
        if !request.is_kernel() && request.usage() > self.usable() {
            return Err(ENOSPC);
        }

        let blocks = self
            .find_blocks(request)
            // What the allocator calls invalid could not be met in this place.
            .map_err(|err| if err == EINVAL { ENOSPC } else { err })?;
        let visible: u64 = blocks.iter().map(|block| self.visible(&block)).sum();
        let size: u64 = blocks.iter().map(|block| block.end - block.start).sum();

        self.vis_usage.add(visible as i64, Relaxed);
        self.stats.take(Heap::Vram, size);
        if visible > 0 {
            self.stats.take(Heap::VisibleVram, visible);
        }
        Ok(VramResource {
            blocks: Some(blocks),
            size,
            visible,
            wiped: Atomic::new(false),
        })
    }

    fn layout(&self, resource: &VramResource) -> Layout {
        Layout {
            start: resource
                .blocks
                .as_ref()
                .and_then(Blocks::contiguous)
                .map(|range| range.start >> PAGE_SHIFT),
            write_combined: true,
        }
    }

    fn free(&self, resource: Pin<&mut VramResource>) {
        let resource = Pin::into_inner(resource);
        let mut state = self.state.lock();

        if let Some(blocks) = resource.blocks.take() {
            state.mm.free(blocks, resource.wiped.load(Relaxed));
        }
        self.vis_usage.add(-(resource.visible as i64), Relaxed);
        self.stats.give_back(Heap::Vram, resource.size);
        if resource.visible > 0 {
            self.stats.give_back(Heap::VisibleVram, resource.visible);
        }
        self.reserve_pending(&mut state);
    }

    fn intersects(&self, resource: &VramResource, place: &Place) -> bool {
        let wanted = place.range(self.size >> PAGE_SHIFT);

        resource.ranges().any(|block| {
            block.start >> PAGE_SHIFT < wanted.end && wanted.start < block.end >> PAGE_SHIFT
        })
    }

    fn compatible(&self, resource: &VramResource, place: &Place) -> bool {
        let wanted = place.range(self.size >> PAGE_SHIFT);

        resource.ranges().all(|block| {
            wanted.start <= block.start >> PAGE_SHIFT && block.end >> PAGE_SHIFT <= wanted.end
        })
    }

    fn debug(&self, p: &Printer) {
        drm_print!(p, "  vis usage:{}\n", self.vis_usage.load(Relaxed));

        let state = self.state.lock();
        drm_print!(p, "default_page_size: {}KiB\n", DEFAULT_PAGE_SIZE >> 10);
        state.mm.print(p);

        for (title, status) in [
            ("reserved:\n", PageStatus::Reserved),
            ("reservations pending:\n", PageStatus::Pending),
        ] {
            drm_print!(p, "{}", title);
            for rsv in state.reservations.iter() {
                if rsv.status() == status {
                    let Range { start, end } = rsv.range;

                    drm_print!(p, "{:#018x}-{:#018x}: {}\n", start, end, end - start);
                }
            }
        }
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/mgr/vram_mgr.rs"]
mod kunit;
