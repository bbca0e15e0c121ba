// SPDX-License-Identifier: GPL-2.0

//! The GPU buddy allocator.
//!
//! The allocator does not lock: its methods take `&mut self`, and the driver puts it under a lock
//! of its own. `kernel::gpu::buddy` has an internal lock instead, and neither prints its state nor
//! trims blocks. A resource manager has to free memory and allocate from it under one lock, and to
//! print.
//!
//! C header: [`include/linux/gpu_buddy.h`](srctree/include/linux/gpu_buddy.h)

use core::{
    ops::Range,
    ptr::{
        addr_of_mut,
        NonNull, //
    }, //
};

use kernel::{
    error::to_result,
    impl_flags,
    prelude::*,
    types::Opaque, //
};

use crate::{
    abstractions::drm::Printer,
    bindings::raw as bindings, //
};

/// Where [`Buddy::alloc`] looks for free blocks. The allocator has no mode for a range from its
/// end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AllocMode {
    /// Anywhere.
    Simple,
    /// In this range of bytes only, from its start.
    Range(Range<u64>),
    /// From the end downwards.
    TopDown,
}

impl_flags!(
    /// Modifiers of an allocation.
    #[derive(Clone, Copy, Default, PartialEq, Eq)]
    pub(crate) struct AllocFlags(usize);

    /// One modifier of an allocation.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(crate) enum AllocFlag {
        /// As one range, though maybe of several adjacent blocks.
        Contiguous = bindings::GPU_BUDDY_CONTIGUOUS_ALLOCATION,
        /// Of what is known to be zero, as far as there is any.
        PreferCleared = bindings::GPU_BUDDY_CLEAR_ALLOCATION,
    }
);

/// A buddy allocator over the bytes from 0 to its size.
///
/// The C side requires a lock around all calls. Here `&mut self` takes its place.
///
/// # Invariants
///
/// `mm` is initialised.
pub(crate) struct Buddy {
    mm: KBox<Opaque<bindings::gpu_buddy>>,
}

// SAFETY: A `struct gpu_buddy` has no reference to the thread that made it.
unsafe impl Send for Buddy {}

impl Buddy {
    /// An allocator of `size` bytes in blocks of at least `chunk_size`, a power of two of at least
    /// 4 KiB (`gpu_buddy_init()`).
    ///
    /// # Errors
    ///
    /// `EINVAL` for bad sizes, `ENOMEM`.
    pub(crate) fn new(size: u64, chunk_size: u64) -> Result<Self> {
        let mm = KBox::init(
            // SAFETY: The closure initialises what it is given, or fails.
            unsafe {
                pin_init::init_from_closure(|slot: *mut Opaque<bindings::gpu_buddy>| {
                    let mm = Opaque::cast_into(slot);

                    mm.write_bytes(0, 1);
                    to_result(bindings::gpu_buddy_init(mm, size, chunk_size))
                })
            },
            GFP_KERNEL,
        )?;

        // INVARIANT: `gpu_buddy_init()` succeeded.
        Ok(Self { mm })
    }

    fn raw(&self) -> *mut bindings::gpu_buddy {
        self.mm.get()
    }

    /// Free bytes.
    pub(crate) fn avail(&self) -> u64 {
        // SAFETY: By the type invariant.
        unsafe { (*self.raw()).avail }
    }

    /// Allocates `size` bytes in blocks of at least `min_block_size` (`gpu_buddy_alloc_blocks()`).
    /// All are multiples of the chunk size, and `min_block_size` is a power of two.
    ///
    /// # Errors
    ///
    /// `ENOSPC`; `EINVAL` for arguments that cannot be met even by an empty allocator; `ENOMEM`.
    pub(crate) fn alloc(
        &mut self,
        mode: &AllocMode,
        size: u64,
        min_block_size: u64,
        flags: AllocFlags,
    ) -> Result<Blocks> {
        // SAFETY: By the type invariant; the size is constant.
        let whole = 0..unsafe { (*self.raw()).size };
        let (range, mode_flag) = match mode {
            AllocMode::Simple => (whole, 0),
            AllocMode::Range(range) => (range.clone(), bindings::GPU_BUDDY_RANGE_ALLOCATION),
            AllocMode::TopDown => (whole, bindings::GPU_BUDDY_TOPDOWN_ALLOCATION),
        };
        let mut head = bindings::list_head::default();
        let head = addr_of_mut!(head);

        // SAFETY: By the type invariant, and by exclusive access. On success the list holds at
        // least one block, as the size is not 0.
        unsafe {
            bindings::INIT_LIST_HEAD(head);
            to_result(bindings::gpu_buddy_alloc_blocks(
                self.raw(),
                range.start,
                range.end,
                size,
                min_block_size,
                head,
                usize::from(flags) | mode_flag,
            ))?;
            Ok(self.take(head))
        }
    }

    /// Frees all but the first `size` bytes of a single block (`gpu_buddy_block_trim()`). If there
    /// are several blocks, they are not changed.
    ///
    /// # Errors
    ///
    /// `ENOMEM`. Then the block is free.
    pub(crate) fn trim(&mut self, blocks: Blocks, size: u64) -> Result<Blocks> {
        let mut head = bindings::list_head::default();
        let head = addr_of_mut!(head);

        // SAFETY: `blocks` is owned, so its blocks are allocated and in no other list. The list
        // holds at least one block afterwards, whether the trim succeeds or not.
        let (ret, blocks) = unsafe {
            blocks.put(head);
            (
                bindings::gpu_buddy_block_trim(self.raw(), core::ptr::null_mut(), size, head),
                self.take(head),
            )
        };

        if ret == ENOMEM.to_errno() {
            self.free(blocks, false);
            return Err(ENOMEM);
        }
        Ok(blocks)
    }

    /// Takes blocks back (`gpu_buddy_free_list()`), which must be this allocator's; `cleared` says
    /// that they are zero.
    pub(crate) fn free(&mut self, blocks: Blocks, cleared: bool) {
        let flags = if cleared {
            bindings::GPU_BUDDY_CLEARED
        } else {
            0
        };
        let mut head = bindings::list_head::default();
        let head = addr_of_mut!(head);

        // SAFETY: `blocks` is owned, so its blocks are allocated and in no other list.
        unsafe {
            blocks.put(head);
            // CAST: One bit of a few.
            bindings::gpu_buddy_free_list(self.raw(), head, flags as c_uint);
        }
    }

    /// Makes [`Blocks`] of the blocks in a list.
    ///
    /// # Safety
    ///
    /// `head` must be a list of at least one block of this allocator, and nobody else's.
    unsafe fn take(&self, head: *mut bindings::list_head) -> Blocks {
        // SAFETY: By this function's requirements; without the head the blocks make a ring.
        unsafe {
            let first = NonNull::new_unchecked((*head).next);

            bindings::list_del(head);
            // INVARIANT: The blocks are allocated, in a ring, and ours.
            Blocks {
                first,
                chunk_size: (*self.raw()).chunk_size,
                index: KVVec::new(),
            }
        }
    }

    /// Prints what is free and used, by block size (`drm_buddy_print()`).
    pub(crate) fn print(&self, p: &Printer) {
        // SAFETY: By the type invariant.
        unsafe { bindings::drm_buddy_print(self.raw(), p.as_raw()) };
    }
}

impl Drop for Buddy {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. The kernel warns if something is still allocated.
        unsafe { bindings::gpu_buddy_fini(self.raw()) };
    }
}

/// Blocks of a [`Buddy`], in order of allocation.
///
/// They must be given back with [`Buddy::free`]. Dropping them does not free the memory.
///
/// # Invariants
///
/// - `first` is the `link` of an allocated block, in a ring of such links that has no list head.
/// - `index` is empty, or has an entry for each of the blocks, in their order.
#[must_use = "dropped blocks stay allocated"]
pub(crate) struct Blocks {
    first: NonNull<bindings::list_head>,
    chunk_size: u64,
    index: KVVec<IndexEntry>,
}

/// Where a block is among others.
struct IndexEntry {
    /// Bytes of the blocks before it.
    before: u64,
    link: NonNull<bindings::list_head>,
}

/// Blocks that are as quickly walked as looked up.
const FEW_BLOCKS: usize = 16;

// SAFETY: Blocks have no reference to the thread that allocated them.
unsafe impl Send for Blocks {}

// SAFETY: `&Blocks` only reads what is constant while they are allocated.
unsafe impl Sync for Blocks {}

impl Blocks {
    /// Moves the blocks to the list `head`.
    ///
    /// # Safety
    ///
    /// `head` must be valid memory that stays where it is as long as the list lasts.
    unsafe fn put(self, head: *mut bindings::list_head) {
        // SAFETY: By this function's requirements; a head before the first link makes a list of the
        // ring.
        unsafe {
            bindings::INIT_LIST_HEAD(head);
            bindings::list_add_tail(head, self.first.as_ptr());
        }
    }

    /// The byte ranges of the blocks.
    pub(crate) fn iter(&self) -> Ranges<'_> {
        self.iter_from(0)
    }

    /// Makes [`iter_from`](Self::iter_from) O(log n) in the number of blocks.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn make_index(&mut self) -> Result {
        let mut index = KVVec::new();
        let mut before = 0;
        let mut headers = self.headers();

        if self.headers().nth(FEW_BLOCKS).is_none() {
            return Ok(());
        }
        loop {
            let link = headers.next;
            let Some(block) = headers.next() else {
                break;
            };

            index.push(IndexEntry { before, link }, GFP_KERNEL)?;
            before += block.range.end - block.range.start;
        }
        // INVARIANT: All blocks were walked.
        self.index = index;
        Ok(())
    }

    /// The byte ranges of the blocks without their first `skip` bytes.
    pub(crate) fn iter_from(&self, skip: u64) -> Ranges<'_> {
        let at = self.index.partition_point(|entry| entry.before <= skip);

        match at.checked_sub(1).and_then(|at| self.index.get(at)) {
            // INVARIANT: The link is one of the blocks.
            Some(entry) => Ranges {
                headers: Headers {
                    blocks: Some(self),
                    next: entry.link,
                },
                skip: skip - entry.before,
            },
            None => Ranges {
                headers: self.headers(),
                skip,
            },
        }
    }

    /// The byte ranges of the blocks that were not known to be zero when they were allocated.
    pub(crate) fn dirty(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.headers()
            .filter(|block| !block.cleared)
            .map(|block| block.range)
    }

    /// The byte ranges of the blocks that were known to be zero when they were allocated.
    pub(crate) fn clean(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.headers()
            .filter(|block| block.cleared)
            .map(|block| block.range)
    }

    fn headers(&self) -> Headers<'_> {
        Headers {
            blocks: Some(self),
            next: self.first,
        }
    }

    /// The byte range of all blocks, if each begins where the one before it ends.
    pub(crate) fn contiguous(&self) -> Option<Range<u64>> {
        self.iter()
            .map(Some)
            .reduce(|whole, block| match (whole, block) {
                (Some(whole), Some(block)) if whole.end == block.start => {
                    Some(whole.start..block.end)
                }
                _ => None,
            })?
    }
}

/// What the header of an allocated block says.
struct Header {
    range: Range<u64>,
    /// Whether the block was known to be zero when it was allocated.
    cleared: bool,
}

/// The headers of blocks.
///
/// # Invariants
///
/// `next` is a link of `blocks`, unless that is [`None`].
struct Headers<'a> {
    blocks: Option<&'a Blocks>,
    next: NonNull<bindings::list_head>,
}

impl Iterator for Headers<'_> {
    type Item = Header;

    fn next(&mut self) -> Option<Header> {
        let blocks = self.blocks?;
        let link = self.next;

        // SAFETY: By the type invariants of both, the link is that of an allocated block, whose
        // header is constant, and is followed by another one in the ring.
        unsafe {
            let block = kernel::container_of!(
                link.as_ptr()
                    .cast::<bindings::gpu_buddy_block__bindgen_ty_1>(),
                bindings::gpu_buddy_block,
                __bindgen_anon_1
            );
            let start = bindings::gpu_buddy_block_offset(block);
            let size = blocks.chunk_size << bindings::gpu_buddy_block_order(block);

            self.next = NonNull::new_unchecked((*link.as_ptr()).next);
            if self.next == blocks.first {
                self.blocks = None;
            }
            Some(Header {
                range: start..start + size,
                cleared: bindings::gpu_buddy_block_is_clear(block),
            })
        }
    }
}

/// The byte ranges of blocks.
pub(crate) struct Ranges<'a> {
    headers: Headers<'a>,
    /// Bytes that are left out of the ranges that come next.
    skip: u64,
}

impl Ranges<'_> {
    /// The ranges of no blocks.
    pub(crate) const fn empty() -> Self {
        Self {
            headers: Headers {
                blocks: None,
                next: NonNull::dangling(),
            },
            skip: 0,
        }
    }
}

impl Iterator for Ranges<'_> {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        loop {
            let Range { start, end } = self.headers.next()?.range;

            if self.skip < end - start {
                let start = start + self.skip;

                self.skip = 0;
                return Some(start..end);
            }
            self.skip -= end - start;
        }
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/abstractions/gpu_buddy.rs"]
mod kunit;
