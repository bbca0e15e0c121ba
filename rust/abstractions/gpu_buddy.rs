// SPDX-License-Identifier: GPL-2.0

//! The GPU buddy allocator.
//!
//! The allocator does not lock: its methods take `&mut self`, and the driver puts it under a lock
//! of its own. `kernel::gpu::buddy` has an internal lock instead, and neither prints its state nor
//! trims blocks. A resource manager has to free memory and allocate from it under one lock, and to
//! print.
//!
//! C header: [`include/linux/gpu_buddy.h`](srctree/include/linux/gpu_buddy.h)

mod blocks;

use core::{
    ops::Range,
    ptr::addr_of_mut, //
};

use kernel::{
    error::to_result,
    impl_flags,
    prelude::*,
    types::Opaque, //
};

use crate::{
    abstractions::{
        drm::Printer,
        gpu_buddy::blocks::CHUNK, //
    },
    bindings::raw as bindings, //
};

pub(crate) use self::blocks::{
    Blocks,
    Ranges, //
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

/// A buddy allocator over the bytes from 0 to its size, in blocks of at least a page.
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
    /// An allocator of `size` bytes (`gpu_buddy_init()`).
    ///
    /// # Errors
    ///
    /// `EINVAL` for less than a page, `ENOMEM`.
    pub(crate) fn new(size: u64) -> Result<Self> {
        let mm = KBox::init(
            // SAFETY: The closure initialises what it is given, or fails.
            unsafe {
                pin_init::init_from_closure(|slot: *mut Opaque<bindings::gpu_buddy>| {
                    let mm = Opaque::cast_into(slot);

                    mm.write_bytes(0, 1);
                    to_result(bindings::gpu_buddy_init(mm, size, CHUNK))
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

    /// Free bytes that are not known to be zero.
    pub(crate) fn dirty_avail(&self) -> u64 {
        // SAFETY: By the type invariant.
        unsafe { (*self.raw()).avail - (*self.raw()).clear_avail }
    }

    /// Whether a free block of this order is not known to be zero.
    fn has_dirty(&self, order: u32) -> bool {
        // SAFETY: By the type invariant each of the two arrays has a tree for each order.
        unsafe {
            let trees = *(*self.raw())
                .free_trees
                .add(bindings::gpu_buddy_free_tree_GPU_BUDDY_DIRTY_TREE as usize);

            !(*trees.add(order as usize)).rb_node.is_null()
        }
    }

    /// Allocates free blocks that are not known to be zero, the largest first: up to `most` bytes in up
    /// to `count` blocks. [`None`] if there are none, or if there is no memory for splitting one.
    pub(crate) fn alloc_dirty(&mut self, most: u64, count: usize) -> Option<Blocks> {
        // SAFETY: By the type invariant; the order is constant.
        let orders = 0..=unsafe { (*self.raw()).max_order };
        let mut taken: Option<Blocks> = None;
        let mut left = most;
        let mut count = count;

        for order in orders.rev() {
            while count > 0 && left >= CHUNK && self.has_dirty(order) {
                // The allocator looks for a dirty block of this size first, and then for a larger one,
                // of which there is one.
                let size = (CHUNK << order).min(1 << left.ilog2());
                let Ok(blocks) = self.alloc(&AllocMode::Simple, size, size, AllocFlags::default())
                else {
                    return taken;
                };

                left -= size;
                count -= 1;
                match &mut taken {
                    Some(taken) => taken.append(blocks),
                    None => taken = Some(blocks),
                }
            }
        }
        taken
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

        // SAFETY: By the type invariant, and by exclusive access. The list is of blocks that are
        // nobody else's.
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
            Blocks::take(head).ok_or(ENOSPC)
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
                Blocks::take(head).ok_or(EINVAL)?,
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

    /// Takes blocks back that nobody has used (`gpu_buddy_free_block()`). They must be this allocator's,
    /// and are as zero as they were.
    pub(crate) fn undo(&mut self, blocks: Blocks) {
        // SAFETY: `blocks` is owned, so its blocks are allocated and in no other list.
        blocks.for_each(|block| unsafe { bindings::gpu_buddy_free_block(self.raw(), block) });
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

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/abstractions/gpu_buddy.rs"]
mod kunit;
