// SPDX-License-Identifier: GPL-2.0

//! The VRAM manager: the card's own memory, by the buddy allocator. All numbers are bytes.
//!
//! Besides buffers it knows *reservations*: ranges withheld from buffers, at once or as soon as the
//! buffers that are there now are gone.
//!
//! Lock order: the buffer's resv → `state`.

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
            Flag,
            Flags,
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
    }, //
};

/// The smallest block of a buffer that is at least as large, unless VRAM is too fragmented.
const DEFAULT_PAGE_SIZE: u64 = SZ_2M as u64;

/// VRAM that user space's buffers leave to the kernel's own, at most; of a small VRAM a 32nd.
const KERNEL_RESERVED: u64 = SZ_8M as u64;

/// A range withheld from buffers.
struct Reservation {
    range: Range<u64>,
    /// What was allocated for it; [`None`] as long as it is pending.
    blocks: Option<Blocks>,
}

/// What became of a page that was to be reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageStatus {
    /// A buffer still has it.
    Pending,
    /// No buffer will get it.
    Reserved,
}

struct State {
    mm: Buddy,
    reservations: KVec<Reservation>,
}

impl State {
    /// Tries again to reserve what is pending.
    fn do_reserve(&mut self) {
        for rsv in self.reservations.iter_mut() {
            if rsv.blocks.is_none() {
                let size = rsv.range.end - rsv.range.start;

                rsv.blocks = self
                    .mm
                    .alloc(
                        rsv.range.clone(),
                        size,
                        PAGE_SIZE as u64,
                        Flag::Range.into(),
                    )
                    .ok();
            }
        }
    }

    fn reserved(&self) -> impl Iterator<Item = &Range<u64>> {
        self.reservations
            .iter()
            .filter(|rsv| rsv.blocks.is_some())
            .map(|rsv| &rsv.range)
    }
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
            let mut reservations = KVec::with_capacity(1, GFP_KERNEL)?;

            if own > 0 {
                let blocks = mm.alloc(0..own, own, PAGE_SIZE as u64, Flag::Range.into())?;

                reservations.push(
                    Reservation {
                        range: 0..own,
                        blocks: Some(blocks),
                    },
                    GFP_KERNEL,
                )?;
            }

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
            reserved: state.reserved().map(|range| range.end - range.start).sum(),
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
        if state
            .reservations
            .iter()
            .any(|rsv| rsv.range.start < range.end && range.start < rsv.range.end)
        {
            return Err(EEXIST);
        }

        state.reservations.push(
            Reservation {
                range,
                blocks: None,
            },
            GFP_KERNEL,
        )?;
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
            .map(|rsv| match rsv.blocks {
                Some(_) => PageStatus::Reserved,
                None => PageStatus::Pending,
            })
    }

    fn reserve_pending(&self, state: &mut State) {
        let before: u64 = state.reserved().map(|range| self.visible(range)).sum();
        state.do_reserve();
        let after: u64 = state.reserved().map(|range| self.visible(range)).sum();

        self.vis_usage.add((after - before) as i64, Relaxed);
    }

    /// Bytes of `range` that the CPU can reach.
    fn visible(&self, range: &Range<u64>) -> u64 {
        range.end.min(self.visible_size) - range.start.min(self.visible_size)
    }

    /// Takes blocks for a request. With a place from the end of VRAM they are beyond the CPU's reach, if
    /// there is room.
    fn alloc_blocks(&self, mm: &mut Buddy, request: &Request<'_>) -> Result<Blocks> {
        let cleared = Flags::from(Flag::PreferCleared);
        // What is moved here overwrites all of it.
        let (wanted, other) = match request.is_new() {
            true => (cleared, Flags::default()),
            false => (Flags::default(), cleared),
        };
        let blocks = self.alloc_like(mm, request, wanted)?;

        // The allocator keeps apart what is zero and what is not, and looks into the other half only
        // where the one has nothing at all. So there may be room beyond the CPU's reach yet.
        if request.place.is_topdown() && self.is_visible(&blocks) {
            if let Ok(others) = self.alloc_like(mm, request, other) {
                let (kept, back) = match self.is_visible(&others) {
                    true => (blocks, others),
                    false => (others, blocks),
                };
                let is_clear = back.dirty().next().is_none();

                mm.free(back, is_clear);
                return Ok(kept);
            }
        }
        Ok(blocks)
    }

    /// Whether the CPU can reach a part of the blocks.
    fn is_visible(&self, blocks: &Blocks) -> bool {
        blocks.iter().any(|block| block.start < self.visible_size)
    }

    /// Takes blocks for a request, as large as they come, of one half of the memory first.
    fn alloc_like(
        &self,
        mm: &mut Buddy,
        request: &Request<'_>,
        mut flags: Flags,
    ) -> Result<Blocks> {
        let size = request.size();
        let align = request.alignment() << PAGE_SHIFT;
        let pages = request.place.range(self.size >> PAGE_SHIFT);
        let range = pages.start << PAGE_SHIFT..pages.end << PAGE_SHIFT;

        // What can never fit gets the next place, not the error the allocator has for it.
        if range.is_empty() || size > range.end - range.start {
            return Err(ENOSPC);
        }

        if range != (0..self.size) {
            flags |= Flag::Range;
        }
        if request.place.is_topdown() {
            flags |= Flag::TopDown;
        }

        // A buffer smaller than its alignment: a block of that alignment, and what is not needed of
        // it goes back.
        if size < align {
            let block = mm.alloc(range, align, align, flags)?;

            return Ok(mm.trim(block, size));
        }

        if request.place.is_contiguous() {
            return self.alloc_contiguous(mm, range, size, align, flags | Flag::Contiguous);
        }

        if size >= DEFAULT_PAGE_SIZE.max(align) {
            let blocks = mm.alloc(range.clone(), size, DEFAULT_PAGE_SIZE.max(align), flags);

            if blocks.is_ok() {
                return blocks;
            }
        }
        mm.alloc(range, size, align, flags)
    }

    /// Takes one range of blocks.
    ///
    /// Inside a range the allocator only looks for a block of the next power of two. If there is
    /// none, every place a large buffer could start at is tried.
    fn alloc_contiguous(
        &self,
        mm: &mut Buddy,
        range: Range<u64>,
        size: u64,
        align: u64,
        flags: Flags,
    ) -> Result<Blocks> {
        let blocks = mm.alloc(range.clone(), size, align, flags);

        if blocks.is_ok() || !flags.contains(Flag::Range) || size.is_power_of_two() {
            return blocks;
        }

        let step = DEFAULT_PAGE_SIZE.max(align);
        let mut start = range.start.next_multiple_of(step);
        while start + size <= range.end {
            let blocks = mm.alloc(start..start + size, size, PAGE_SIZE as u64, flags);

            if blocks.is_ok() {
                return blocks;
            }
            start += step;
        }
        blocks
    }
}

#[pinned_drop]
impl PinnedDrop for VramMgr {
    fn drop(self: Pin<&mut Self>) {
        let mut guard = self.state.lock();
        let state = &mut *guard;

        for rsv in state.reservations.iter_mut() {
            if let Some(blocks) = rsv.blocks.take() {
                state.mm.free(blocks, false);
            }
        }
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
            .alloc_blocks(&mut self.state.lock().mm, request)
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

        for (title, reserved) in [("reserved:\n", true), ("reservations pending:\n", false)] {
            drm_print!(p, "{}", title);
            for rsv in state.reservations.iter() {
                if rsv.blocks.is_some() == reserved {
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
