// SPDX-License-Identifier: GPL-2.0

//! The search for free VRAM: how a request is translated to calls of the buddy allocators.

use core::ops::Range;

use kernel::{
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    sizes::SizeConstants, //
};

use crate::{
    abstractions::{
        gpu_buddy::{
            AllocFlag,
            AllocFlags,
            Blocks, //
        },
        ttm::Request, //
    },
    mgr::vram_mgr::parts::{
        Part,
        Parts, //
    }, //
};

/// Bytes of the smallest block for buffers of at least this size. If VRAM is too fragmented for
/// that, smaller blocks are used.
pub(super) const DEFAULT_PAGE_SIZE: u64 = u64::SZ_2M;

/// A search for VRAM.
pub(super) struct Search<'a> {
    parts: &'a mut Parts,
    /// Bytes.
    size: u64,
    /// Bytes, at least a page.
    align: u64,
    /// Bytes of VRAM that the request is restricted to.
    range: Range<u64>,
    topdown: bool,
    contiguous: bool,
    flags: AllocFlags,
    /// Whether anything but the best will do, too: smaller blocks, or another part.
    compromise: bool,
}

impl<'a> Search<'a> {
    /// A search for what `request` wants, in `vram_size` bytes of VRAM.
    ///
    /// # Errors
    ///
    /// `ENOSPC` for what cannot ever fit.
    pub(super) fn new(
        parts: &'a mut Parts,
        request: &Request<'_>,
        vram_size: u64,
        compromise: bool,
    ) -> Result<Self> {
        let size = request.size();
        let pages = request.place.range(vram_size >> PAGE_SHIFT);
        let range = pages.start << PAGE_SHIFT..pages.end << PAGE_SHIFT;

        // The allocator returns `EINVAL` for a request that can never fit. `ENOSPC` makes TTM try
        // the next place instead.
        if range.is_empty() || size > range.end - range.start {
            return Err(ENOSPC);
        }
        // A new buffer has to read as zeroes. What is moved overwrites all of its new memory, but only if
        // the card does what it says: what nobody else's content is left in, no card can show. Without
        // any the allocator is not asked for it, as it then pays no heed to the place.
        let flags = if parts.avail() > parts.dirty_avail() {
            AllocFlag::PreferCleared.into()
        } else {
            AllocFlags::default()
        };

        Ok(Self {
            parts,
            size,
            align: request.alignment() << PAGE_SHIFT,
            range,
            topdown: request.place.is_topdown(),
            contiguous: request.place.is_contiguous(),
            flags,
            compromise,
        })
    }

    /// Allocates blocks. For a top-down place, memory outside of the aperture is preferred.
    ///
    /// # Errors
    ///
    /// `ENOSPC`, `EINVAL` for a request that cannot be met; `ENOMEM`.
    pub(super) fn blocks(&mut self) -> Result<Blocks> {
        // A buffer smaller than its alignment takes a block of that alignment, and gives back what
        // it does not need of it.
        if self.size < self.align {
            let (size, align, flags) = (self.size, self.align, self.flags);

            return self.in_one_part(self.compromise, |part, window, topdown| {
                let block = part.alloc(window, topdown, align, align, flags)?;

                part.trim(block, size)
            });
        }
        if self.contiguous {
            return match self.contiguous_in_one_part() {
                Err(ENOSPC | EINVAL) if self.compromise => self.contiguous_across(),
                result => result,
            };
        }

        let large = DEFAULT_PAGE_SIZE.max(self.align);
        if self.size >= large {
            match self.with_blocks_of(large) {
                Err(ENOSPC | EINVAL) if self.compromise => (),
                result => return result,
            }
        }
        self.with_blocks_of(self.align)
    }

    /// Whether memory of both parts is wanted.
    fn is_across(&self) -> bool {
        self.range.start < self.parts.border && self.parts.border < self.range.end
    }

    /// Calls `f` for each part, with the window of it that is wanted, in the order of preference, until
    /// it succeeds; for the first only without a `compromise`.
    fn in_one_part(
        &mut self,
        compromise: bool,
        mut f: impl FnMut(&mut Part, &Range<u64>, bool) -> Result<Blocks>,
    ) -> Result<Blocks> {
        let Self {
            parts,
            range,
            topdown,
            ..
        } = self;
        let mut try_part = |part: &mut Part| {
            let window = range.start.max(part.range.start)..range.end.min(part.range.end);

            if window.is_empty() {
                return None;
            }
            match f(part, &window, *topdown) {
                Err(ENOSPC | EINVAL) if compromise => None,
                result => Some(result),
            }
        };
        let mut parts = parts.iter_mut();

        if *topdown {
            parts.rev().find_map(try_part)
        } else {
            parts.find_map(&mut try_part)
        }
        .unwrap_or(Err(ENOSPC))
    }

    /// Allocates blocks of at least `block_size`: of the preferred part, or else as many as it has, and
    /// the rest of the other.
    fn with_blocks_of(&mut self, block_size: u64) -> Result<Blocks> {
        let (size, flags) = (self.size, self.flags);
        let result = self.in_one_part(false, |part, window, topdown| {
            part.alloc(window, topdown, size, block_size, flags)
        });
        if !self.compromise || !self.is_across() || !matches!(result, Err(ENOSPC | EINVAL)) {
            return result;
        }

        let mut all: Option<Blocks> = None;
        let mut left = size;
        let result = self.in_one_part(true, |part, window, topdown| {
            let mut piece = left.min(part.avail());

            // As the next piece that there is not a block for is half as large, this ends soon.
            while left > 0 {
                piece = piece.min(left);
                if piece < left {
                    // A power of two.
                    piece &= !(block_size - 1);
                }
                if piece == 0 {
                    break;
                }
                match part.alloc(window, topdown, piece, block_size, flags) {
                    Ok(blocks) => {
                        left -= piece;
                        match &mut all {
                            Some(all) => all.append(blocks),
                            None => all = Some(blocks),
                        }
                    }
                    Err(ENOSPC | EINVAL) => piece /= 2,
                    Err(err) => return Err(err),
                }
            }
            match all.take() {
                Some(blocks) if left == 0 => Ok(blocks),
                blocks => {
                    all = blocks;
                    Err(ENOSPC)
                }
            }
        });

        if let Some(blocks) = all {
            self.parts.undo(blocks);
        }
        result
    }

    fn contiguous_in_one_part(&mut self) -> Result<Blocks> {
        let (size, align) = (self.size, self.align);
        let flags = self.flags | AllocFlag::Contiguous;

        self.in_one_part(self.compromise, |part, window, topdown| {
            let blocks = part.alloc(window, topdown, size, align, flags);

            // If the request is restricted to a range, the allocator rounds the size up to a power of
            // two. If it has no such block, all aligned start addresses in the range are tried one
            // after the other.
            if blocks.is_ok() || *window == part.range || size.is_power_of_two() {
                return blocks;
            }
            let step = DEFAULT_PAGE_SIZE.max(align);
            let mut start = window.start.next_multiple_of(step);
            while start + size <= window.end {
                let window = start..start + size;
                let blocks = part.alloc(&window, topdown, size, PAGE_SIZE as u64, flags);

                if blocks.is_ok() {
                    return blocks;
                }
                start += step;
            }
            blocks
        })
    }

    /// Allocates one range of both parts, from where it is free before the border between them to where
    /// it is free behind it.
    fn contiguous_across(&mut self) -> Result<Blocks> {
        if !self.is_across() {
            return Err(ENOSPC);
        }
        let border = self.parts.border;
        let before = self.longest(self.size.min(border - self.range.start), |bytes| {
            border - bytes..border
        });
        let behind = self.longest(self.size.min(self.range.end - border), |bytes| {
            border..border + bytes
        });
        let Some(start) = border.checked_sub(self.size.saturating_sub(behind)) else {
            return Err(ENOSPC);
        };
        let start = start - start % self.align;

        if before == 0 || start < border - before {
            return Err(ENOSPC);
        }
        self.parts.alloc_exactly(&(start..start + self.size))
    }

    /// The most bytes, up to `most`, for which `range` is free. If it is for some, it is for less.
    fn longest(&mut self, most: u64, range: impl Fn(u64) -> Range<u64>) -> u64 {
        let page = PAGE_SIZE as u64;
        let (mut free, mut too_many) = (0, most / page + 1);

        // One page first: mostly there is none.
        let mut pages = 1;
        while free + 1 < too_many {
            match self.parts.alloc_exactly(&range(pages * page)) {
                Ok(blocks) => {
                    self.parts.undo(blocks);
                    free = pages;
                }
                Err(_) => too_many = pages,
            }
            pages = free + (too_many - free) / 2;
        }
        free * page
    }
}
