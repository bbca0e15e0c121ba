// SPDX-License-Identifier: GPL-2.0

//! The search for free VRAM: how a request is translated to calls of the buddy allocator.

use kernel::{
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    sizes::SizeConstants, //
};

use crate::abstractions::{
    gpu_buddy::{
        AllocFlag,
        AllocFlags,
        AllocMode,
        Blocks,
        Buddy, //
    },
    ttm::Request, //
};

/// Bytes of the smallest block for buffers of at least this size. If VRAM is too fragmented for
/// that, smaller blocks are used.
pub(super) const DEFAULT_PAGE_SIZE: u64 = u64::SZ_2M;

/// A search for VRAM.
pub(super) struct Search<'a> {
    pub(super) mm: &'a mut Buddy,
    /// Bytes of VRAM.
    pub(super) size: u64,
    /// Bytes of it, from its start, that the CPU can reach.
    pub(super) visible_size: u64,
}

impl Search<'_> {
    /// Allocates blocks for a request. For a top-down place, memory outside of the aperture is
    /// preferred.
    ///
    /// # Errors
    ///
    /// `ENOSPC`, `ENOMEM`.
    pub(super) fn blocks(&mut self, request: &Request<'_>) -> Result<Blocks> {
        let cleared = AllocFlags::from(AllocFlag::PreferCleared);
        // A new buffer has to read as zeroes, so it gets memory that is known to be zero, if there
        // is any. The content of a buffer that is moved overwrites all of it, so zeroed memory is
        // spared.
        let (wanted, other) = if request.is_new() {
            (cleared, AllocFlags::default())
        } else {
            (AllocFlags::default(), cleared)
        };
        let blocks = self.alloc(request, wanted)?;

        // The allocator has separate trees for zeroed and for other memory. It uses the second only
        // if the first has no block at all. So it may have returned blocks inside the aperture
        // although the other tree has room outside of it.
        if request.place.is_topdown() && self.is_visible(&blocks) {
            if let Ok(others) = self.alloc(request, other) {
                let (kept, back) = if self.is_visible(&others) {
                    (blocks, others)
                } else {
                    (others, blocks)
                };
                let is_clear = back.dirty().next().is_none();

                self.mm.free(back, is_clear);
                return Ok(kept);
            }
        }
        Ok(blocks)
    }

    /// Whether a part of the blocks is inside the aperture.
    fn is_visible(&self, blocks: &Blocks) -> bool {
        blocks.iter().any(|block| block.start < self.visible_size)
    }

    /// Takes blocks for a request, as large as they come, with `flags` first of one half of the
    /// memory.
    fn alloc(&mut self, request: &Request<'_>, flags: AllocFlags) -> Result<Blocks> {
        let size = request.size();
        let align = request.alignment() << PAGE_SHIFT;
        let pages = request.place.range(self.size >> PAGE_SHIFT);
        let range = pages.start << PAGE_SHIFT..pages.end << PAGE_SHIFT;

        // The allocator returns `EINVAL` for a request that can never fit. `ENOSPC` makes TTM try
        // the next place instead.
        if range.is_empty() || size > range.end - range.start {
            return Err(ENOSPC);
        }

        // Inside of a range the allocator cannot search from the end.
        let mode = if range != (0..self.size) {
            AllocMode::Range(range)
        } else if request.place.is_topdown() {
            AllocMode::TopDown
        } else {
            AllocMode::Simple
        };

        // A buffer smaller than its alignment takes a block of that alignment, and gives back what
        // it does not need of it.
        if size < align {
            let block = self.mm.alloc(&mode, align, align, flags)?;

            return self.mm.trim(block, size);
        }

        if request.place.is_contiguous() {
            return self.alloc_contiguous(&mode, size, align, flags | AllocFlag::Contiguous);
        }

        let page_size = DEFAULT_PAGE_SIZE.max(align);
        if size >= page_size {
            let blocks = self.mm.alloc(&mode, size, page_size, flags);

            if blocks.is_ok() {
                return blocks;
            }
        }
        self.mm.alloc(&mode, size, align, flags)
    }

    /// Allocates one contiguous range.
    ///
    /// If the request is restricted to a range, the allocator rounds the size up to a power of two.
    /// If it has no such block, all aligned start addresses in the range are tried one after the
    /// other.
    fn alloc_contiguous(
        &mut self,
        mode: &AllocMode,
        size: u64,
        align: u64,
        flags: AllocFlags,
    ) -> Result<Blocks> {
        let blocks = self.mm.alloc(mode, size, align, flags);
        let AllocMode::Range(range) = mode else {
            return blocks;
        };

        if blocks.is_ok() || size.is_power_of_two() {
            return blocks;
        }

        let step = DEFAULT_PAGE_SIZE.max(align);
        let mut start = range.start.next_multiple_of(step);
        while start + size <= range.end {
            let window = AllocMode::Range(start..start + size);
            let blocks = self.mm.alloc(&window, size, PAGE_SIZE as u64, flags);

            if blocks.is_ok() {
                return blocks;
            }
            start += step;
        }
        blocks
    }
}
