// SPDX-License-Identifier: GPL-2.0

//! The VRAM manager: it allocates the card's own memory with the buddy allocator.
//!
//! It also has *reservations*: ranges that are never allocated to buffers. Such a range is reserved
//! at once if it is free. Otherwise the reservation is *pending*: it is tried again each time a
//! buffer in VRAM is freed.
//!
//! All numbers are bytes. Lock order: a buffer's resv, then `state`.

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
    rbtree::RBTree,
    sizes::*,
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        Arc,
        Mutex,
        SetOnce, //
    }, //
};

use crate::{
    abstractions::{
        dma::fence::Fence,
        drm::{
            drm_print,
            Printer, //
        },
        gpu_buddy::{
            AllocFlags,
            AllocMode,
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

/// VRAM that is kept for the driver: this much, or a 32nd of VRAM if that is less.
const KERNEL_RESERVED: u64 = u64::SZ_8M;

struct State {
    mm: Buddy,
    reservations: Reservations,
}

impl State {
    /// Calls `f` with all that is free, if anything is. Nothing is known to be zero afterwards.
    ///
    /// `gpu_buddy_reset_clear()` removes blocks from a tree while it walks that, and so misses some.
    ///
    /// # Errors
    ///
    /// Those of `f`; `ENOMEM`.
    fn forget_cleared(&mut self, f: impl FnOnce(&Blocks) -> Result) -> Result {
        let free = self.mm.avail();

        if free == 0 {
            return Ok(());
        }
        // All of it, for a moment.
        let blocks = self.mm.alloc(
            &AllocMode::Simple,
            free,
            PAGE_SIZE as u64,
            AllocFlags::default(),
        )?;
        let result = f(&blocks);

        self.mm.free(blocks, false);
        result
    }
}

/// Usage of VRAM, in bytes.
pub(crate) struct Usage {
    /// Bytes that are not free.
    pub(crate) used: u64,
    /// The part of `used` that is reserved.
    pub(crate) reserved: u64,
    /// The part of `reserved` that the driver uses itself.
    pub(crate) own: u64,
    /// The part of `used` that is inside the aperture.
    pub(crate) visible: u64,
}

/// The VRAM of one buffer.
pub(crate) struct VramResource {
    /// The blocks; [`None`] after `free()`.
    blocks: Option<Blocks>,
    /// Bytes of the blocks.
    size: u64,
    /// Bytes of the blocks that are inside the aperture.
    visible: u64,
    /// How often VRAM had lost its content when that of the blocks was last whole.
    losses: Atomic<u64>,
    /// The fence of the job that zeroes the blocks before they are freed.
    wiped: SetOnce<ARef<Fence>>,
}

impl VramResource {
    /// The ranges of VRAM that were not known to be zero when they were allocated.
    pub(crate) fn dirty(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.blocks.iter().flat_map(Blocks::dirty)
    }

    /// Notes that a job with this fence zeroes the blocks before they are freed, and that nobody
    /// writes to them any more. Only the first call has an effect.
    pub(crate) fn wiped_by(&self, fence: ARef<Fence>) {
        self.wiped.populate(fence);
    }

    /// Whether the blocks are zero: that job has ended, and not with an error.
    fn is_wiped(&self) -> bool {
        self.wiped
            .as_ref()
            .is_some_and(|fence| fence.status() == Some(Ok(())))
    }

    /// The ranges of VRAM, in the order of the buffer's pages.
    pub(crate) fn ranges(&self) -> Ranges<'_> {
        self.ranges_from(0)
    }

    /// As [`ranges`](Self::ranges), without the buffer's first `skip` bytes.
    pub(crate) fn ranges_from(&self, skip: u64) -> Ranges<'_> {
        self.blocks
            .as_ref()
            .map_or(Ranges::empty(), |blocks| blocks.iter_from(skip))
    }

    /// Bytes that are inside the aperture.
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
    /// Bytes at the start of VRAM that the driver uses itself.
    own: u64,
    /// Bytes in use that are inside the aperture. Read without a lock.
    vis_usage: Atomic<i64>,
    /// How often VRAM has lost its content.
    losses: Atomic<u64>,
    stats: Arc<Stats>,
}

impl VramMgr {
    /// A manager for `size` bytes. The first `visible_size` of them are inside the aperture, and
    /// the first `own` are reserved for the driver.
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
                losses: Atomic::new(0),
                stats,
            }? Error))
        })
    }

    /// Bytes that all buffers of user space together may use, if no range is reserved.
    pub(crate) fn usable(&self) -> u64 {
        self.size - KERNEL_RESERVED.min(self.size / 32).max(self.own)
    }

    /// As [`usable`](Self::usable), but inside the aperture.
    pub(crate) fn usable_visible(&self) -> u64 {
        self.usable().min(self.visible_size - self.own)
    }

    /// The present usage of VRAM.
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

    /// Reserves `range`: now if it is free, or else as soon as the last buffer in it is freed. A
    /// reservation cannot be undone.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an empty range, a range outside of VRAM, or one that is not a whole number of
    /// pages; `EEXIST` if it overlaps another reservation; `ENOSPC` if there are too many
    /// reservations; `ENOMEM`.
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

    /// The status of the page at byte offset `address`; [`None`] if it belongs to no reservation.
    pub(crate) fn query_page_status(&self, address: u64) -> Option<PageStatus> {
        self.state
            .lock()
            .reservations
            .iter()
            .find(|rsv| rsv.range.contains(&address))
            .map(Reservation::status)
    }

    /// The ranges that may hold something of a client's, in order: all of VRAM but the driver's own
    /// and what is free and known to be zero. Afterwards nothing is known to be zero any more, so
    /// this is for the end.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn used_ranges(&self) -> Result<KVVec<Range<u64>>> {
        let mut clean = RBTree::new();

        self.state.lock().forget_cleared(|blocks| {
            blocks.clean().try_for_each(|range| {
                clean
                    .try_create_and_insert(range.start, range.end, GFP_KERNEL)
                    .map(drop)
            })
        })?;

        let mut used = KVVec::new();
        let mut at = self.own;
        for (&start, &end) in clean.iter() {
            if at < start {
                used.push(at..start, GFP_KERNEL)?;
            }
            at = at.max(end);
        }
        if at < self.size {
            used.push(at..self.size, GFP_KERNEL)?;
        }
        Ok(used)
    }

    /// Notes that VRAM has lost its content: all buffers in it are [stale](Self::is_stale), and nothing is
    /// known to be zero any more.
    pub(crate) fn content_lost(&self) {
        self.losses.fetch_add(1, Full);
        // No block has to be split for that, so it takes no memory.
        let _ = self.state.lock().forget_cleared(|_| Ok(()));
    }

    /// Whether VRAM has lost its content since the resource was allocated, or was last
    /// [fresh](Self::set_fresh).
    pub(crate) fn is_stale(&self, resource: &VramResource) -> bool {
        resource.losses.load(Acquire) != self.losses.load(Acquire)
    }

    /// Notes that the resource has content again. The buffer's resv is held.
    pub(crate) fn set_fresh(&self, resource: &VramResource) {
        resource.losses.store(self.losses.load(Acquire), Release);
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

    /// Bytes of `range` that are inside the aperture.
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

        let mut blocks = self
            .find_blocks(request)
            // The allocator returns `EINVAL` for some requests that cannot be met in this place.
            .map_err(|err| if err == EINVAL { ENOSPC } else { err })?;
        if let Err(err) = blocks.make_index() {
            self.state.lock().mm.free(blocks, false);
            return Err(err);
        }
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
            losses: Atomic::new(self.losses.load(Acquire)),
            wiped: SetOnce::new(),
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
            state.mm.free(blocks, resource.is_wiped());
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
