// SPDX-License-Identifier: GPL-2.0

//! The VRAM manager: it allocates the card's own memory with the buddy allocator.
//!
//! It also has *reservations*: ranges that are never allocated to buffers. Such a range is reserved
//! at once if it is free. Otherwise the reservation is *pending*: it is tried again each time a
//! buffer in VRAM is freed.
//!
//! What is freed is *dirty*: it holds what its last owner has left there. A [`Wiper`] zeroes it soon,
//! much at a time, and until then it goes to new owners only who zero it themselves.
//!
//! All numbers are bytes. Lock order: a buffer's resv, then `memory`, then those of the engine.

mod memory;
mod parts;
mod reservations;
mod resource;
mod search;
mod wiping;

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
        Mutex, //
    },
    time::Msecs, //
};

use crate::{
    abstractions::{
        dma::fence::Fence,
        drm::{
            drm_print,
            Printer, //
        },
        gpu_buddy::Blocks,
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
    memory_stats::{
        Heap,
        Stats, //
    },
    mgr::vram_mgr::{
        memory::{
            Found,
            Memory, //
        },
        reservations::Reason,
        search::DEFAULT_PAGE_SIZE, //
    },
    uapi::Domain, //
};

pub(crate) use self::{
    memory::Sheet,
    reservations::PageStatus,
    resource::VramResource,
    wiping::Wiper, //
};

/// VRAM that is kept for the driver: this much, or a 32nd of VRAM if that is less.
const KERNEL_RESERVED: u64 = u64::SZ_8M;

/// Usage of VRAM, in bytes.
pub(crate) struct Usage {
    /// Bytes that are not free.
    pub(crate) used: u64,
    /// The part of `used` that is reserved.
    pub(crate) reserved: u64,
    /// The part of `used` that is inside the aperture.
    pub(crate) visible: u64,
}

/// The manager of `TTM_PL_VRAM`.
#[pin_data(PinnedDrop)]
pub(crate) struct VramMgr {
    #[pin]
    memory: Mutex<Memory>,
    size: u64,
    visible_size: u64,
    /// Bytes at the start of VRAM that the driver uses itself.
    own: u64,
    /// Bytes in use by buffers that are inside the aperture. Read without a lock.
    vis_usage: Atomic<i64>,
    /// Bytes that are reserved, without the driver's own. Read without a lock.
    withheld: Atomic<u64>,
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
            let memory = Memory::new(size, visible_size, own)?;

            Ok(try_pin_init!(Self {
                memory <- new_mutex!(memory),
                size,
                visible_size,
                own,
                vis_usage: Atomic::new(0),
                withheld: Atomic::new(0),
                losses: Atomic::new(0),
                stats,
            }? Error))
        })
    }

    /// Bytes that all buffers of user space together may use, if no range is reserved.
    pub(crate) fn usable(&self) -> u64 {
        self.size - KERNEL_RESERVED.min(self.size / 32).max(self.own)
    }

    /// Bytes that all buffers of user space together may use now. What is reserved may be more than the
    /// driver would let buffers have.
    pub(crate) fn usable_now(&self) -> u64 {
        self.usable().saturating_sub(self.withheld.load(Relaxed))
    }

    /// As [`usable`](Self::usable), but inside the aperture.
    pub(crate) fn usable_visible(&self) -> u64 {
        self.usable().min(self.visible_size - self.own)
    }

    /// The present usage of VRAM.
    pub(crate) fn usage(&self) -> Usage {
        let memory = self.memory.lock();
        let reserved = memory.reservations.total();
        let visible: u64 = self.vis_usage.load(Relaxed).try_into().unwrap_or(0);

        Usage {
            used: memory.used(),
            reserved: reserved.bytes,
            visible: visible + reserved.visible,
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
        self.reserve(range, Reason::Request)
    }

    /// As [`reserve_range`](Self::reserve_range), because of a memory error.
    ///
    /// # Errors
    ///
    /// The same.
    pub(crate) fn retire_page(&self, page: Range<u64>) -> Result {
        self.reserve(page, Reason::BadPage)
    }

    fn reserve(&self, range: Range<u64>, reason: Reason) -> Result {
        let page = PAGE_SIZE as u64;

        if range.is_empty() || range.end > self.size || range.start % page + range.end % page != 0 {
            return Err(EINVAL);
        }

        let mut guard = self.memory.lock();
        let memory = &mut *guard;
        let result = memory.reservations.add(&mut memory.parts, range, reason);

        self.note_withheld(memory);
        memory.kick_wiper();
        result
    }

    /// Notes how much is reserved, which may have changed.
    fn note_withheld(&self, memory: &Memory) {
        let reserved = memory.reservations.total().bytes;

        self.withheld.store(reserved - self.own, Relaxed);
    }

    /// The status of the page at byte offset `address`; [`None`] if it belongs to no reservation.
    pub(crate) fn query_page_status(&self, address: u64) -> Option<PageStatus> {
        let (range, status) = self.memory.lock().reservations.behind(address)?;

        (range.start <= address).then_some(status)
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

        self.memory.lock().parts.forget_clean(|range| {
            clean
                .try_create_and_insert(range.start, range.end, GFP_KERNEL)
                .map(drop)
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
        let mut memory = self.memory.lock();

        self.losses.fetch_add(1, Full);
        memory.content_lost();
        memory.kick_wiper();
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

    /// Sets who zeroes memory, or that nobody does.
    pub(crate) fn set_wiper(&self, wiper: Option<Arc<dyn Wiper>>) {
        // Dropped without the lock.
        let _previous = self.memory.lock().set_wiper(wiper);
    }

    /// Has nothing zeroed any more, because the card is going to rest, or goes on with it.
    pub(crate) fn rest_wiping(&self, rests: bool) {
        let mut memory = self.memory.lock();

        memory.wiping.rests = rests;
        memory.kick_wiper();
    }

    /// Has memory zeroed that is free and not zero, up to an eighth of VRAM. `submit` submits the job,
    /// which zeroes these ranges, and returns its fence. Returns the fence of that job, or of one that
    /// is under way already; call [`wiped`](Self::wiped) when it is signalled. Returns [`None`] if
    /// nothing is to be zeroed now.
    ///
    /// # Errors
    ///
    /// Those of `submit`.
    pub(crate) fn wipe(
        &self,
        submit: impl FnOnce(&mut dyn Iterator<Item = Range<u64>>) -> Result<ARef<Fence>>,
    ) -> Result<Option<ARef<Fence>>> {
        self.memory.lock().wipe(submit)
    }

    /// Frees what was being zeroed. Returns in how many ms [`wipe`](Self::wipe) is to be called again;
    /// [`None`] if nothing is to be zeroed.
    pub(crate) fn wiped(&self) -> Option<Msecs> {
        self.memory.lock().wiped()
    }

    /// Allocates blocks for a request. If there are none while others are being zeroed, it waits for
    /// these, and no more are taken away meanwhile. So memory is never short because it is not zero.
    /// They are in the books before anybody sees that they are not free. Returns how often VRAM had
    /// lost its content by then, too.
    fn find_blocks(&self, request: &Request<'_>) -> Result<(Blocks, Booked, u64)> {
        let found = |blocks: Blocks| {
            let account = Account::Heap(Domain::Vram);
            let booked = self.stats.ledger.allocated(account, blocks.size());

            Ok((blocks, booked, self.losses.load(Relaxed)))
        };
        let fence = {
            let mut memory = self.memory.lock();

            match memory.find(request, true)? {
                Found::Blocks(blocks) => return found(blocks),
                Found::Later(fence) => fence,
            }
        };
        let result = fence.wait_until(i64::MAX);
        let mut memory = self.memory.lock();

        memory.wiping.waiting -= 1;
        result?;
        match memory.find(request, false)? {
            Found::Blocks(blocks) => found(blocks),
            Found::Later(_) => Err(ENOSPC),
        }
    }

    /// Calls `f` with what VRAM is used for at this moment. Nothing is allocated or freed meanwhile.
    pub(crate) fn with_sheet<R>(&self, f: impl FnOnce(Sheet) -> R) -> R {
        let memory = self.memory.lock();

        f(memory.sheet())
    }

    /// Bytes of `range` that are inside the aperture.
    fn visible(&self, range: &Range<u64>) -> u64 {
        range.end.min(self.visible_size) - range.start.min(self.visible_size)
    }
}

#[pinned_drop]
impl PinnedDrop for VramMgr {
    fn drop(self: Pin<&mut Self>) {
        self.memory.lock().free_all();
    }
}

impl ResourceManager for VramMgr {
    type Resource = VramResource;

    const USE_TT: bool = false;

    fn alloc<'a>(&'a self, request: &'a Request<'a>) -> impl PinInit<VramResource, Error> + 'a {
        if !request.is_kernel() && request.usage() > self.usable() {
            return Err(ENOSPC);
        }

        let (mut blocks, booked, losses) = self.find_blocks(request)?;
        if let Err(err) = blocks.make_index() {
            let mut memory = self.memory.lock();

            memory.parts.undo(blocks);
            self.stats.ledger.freed(&booked);
            return Err(err);
        }
        let (mut size, mut visible) = (0, 0);

        for block in blocks.iter() {
            size += block.end - block.start;
            visible += self.visible(&block);
        }

        self.vis_usage.add(visible as i64, Relaxed);
        self.stats.take(Heap::Vram, size);
        if visible > 0 {
            self.stats.take(Heap::VisibleVram, visible);
        }
        Ok(VramResource {
            blocks: Some(blocks),
            size,
            visible,
            losses: Atomic::new(losses),
            booked,
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
        let mut memory = self.memory.lock();

        self.vis_usage.add(-(resource.visible as i64), Relaxed);
        self.stats.give_back(Heap::Vram, resource.size);
        if resource.visible > 0 {
            self.stats.give_back(Heap::VisibleVram, resource.visible);
        }
        if let Some(blocks) = resource.blocks.take() {
            memory.give_back(blocks, false);
            self.stats.ledger.freed(&resource.booked);
        }
        self.note_withheld(&memory);
        memory.kick_wiper();
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

        let memory = self.memory.lock();
        drm_print!(p, "default_page_size: {}KiB\n", DEFAULT_PAGE_SIZE >> 10);
        drm_print!(p, "being zeroed: {}\n", memory.wiping.bytes());
        memory.parts.print(p);

        for (title, status) in [
            ("reserved:\n", PageStatus::Reserved),
            ("reservations pending:\n", PageStatus::Pending),
        ] {
            drm_print!(p, "{}", title);
            for rsv in memory.reservations.iter() {
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
