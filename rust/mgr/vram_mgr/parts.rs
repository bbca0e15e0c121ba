// SPDX-License-Identifier: GPL-2.0

//! The two parts of VRAM: what the CPU can reach through the aperture, and the rest.
//!
//! Each part has an allocator of its own. With a single one, each search for visible memory would
//! visit all that is in use there, because the buddy allocator has no index by address.
//!
//! Both allocators count from the start of VRAM, so that a block is aligned as its address is. What
//! is before the second part is taken out of it from the start.

use core::ops::Range;

use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

use crate::abstractions::{
    drm::{
        drm_print,
        Printer, //
    },
    gpu_buddy::{
        AllocFlags,
        AllocMode,
        Blocks,
        Buddy, //
    }, //
};

/// A part of VRAM.
pub(super) struct Part {
    mm: Buddy,
    /// Bytes.
    pub(super) range: Range<u64>,
    /// What is before it.
    before: Option<Blocks>,
}

impl Part {
    fn new(range: Range<u64>) -> Result<Self> {
        let mut mm = Buddy::new(range.end)?;
        let before = if range.start > 0 {
            Some(alloc_exactly(&mut mm, 0..range.start)?)
        } else {
            None
        };

        Ok(Self { mm, range, before })
    }

    /// Allocates `size` bytes of `window`, which is inside of this part, in blocks of at least
    /// `min_block_size`; of a window that is the whole part from its end, if `topdown`.
    ///
    /// # Errors
    ///
    /// Those of [`Buddy::alloc`].
    pub(super) fn alloc(
        &mut self,
        window: &Range<u64>,
        topdown: bool,
        size: u64,
        min_block_size: u64,
        flags: AllocFlags,
    ) -> Result<Blocks> {
        // Inside of a range the allocator cannot search from the end, and visits all that is in use
        // there.
        let mode = if *window != self.range {
            AllocMode::Range(window.clone())
        } else if topdown {
            AllocMode::TopDown
        } else {
            AllocMode::Simple
        };

        self.mm.alloc(&mode, size, min_block_size, flags)
    }

    /// As [`Buddy::trim`].
    ///
    /// # Errors
    ///
    /// Those of [`Buddy::trim`].
    pub(super) fn trim(&mut self, blocks: Blocks, size: u64) -> Result<Blocks> {
        self.mm.trim(blocks, size)
    }

    /// Free bytes.
    pub(super) fn avail(&self) -> u64 {
        self.mm.avail()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(blocks) = self.before.take() {
            self.mm.free(blocks, false);
        }
    }
}

fn alloc_exactly(mm: &mut Buddy, range: Range<u64>) -> Result<Blocks> {
    let size = range.end - range.start;

    mm.alloc(
        &AllocMode::Range(range),
        size,
        PAGE_SIZE as u64,
        AllocFlags::default(),
    )
}

/// Both parts of VRAM. A card may have one of them only.
pub(super) struct Parts {
    /// The visible part, and the rest.
    parts: [Option<Part>; 2],
    size: u64,
    /// Where the visible part ends.
    pub(super) border: u64,
}

impl Parts {
    /// The parts of `size` bytes, of which the CPU can reach the first `visible_size`.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a size that is less than a page; `ENOMEM`.
    pub(super) fn new(size: u64, visible_size: u64) -> Result<Self> {
        let page = PAGE_SIZE as u64;
        let size = size / page * page;
        let border = (visible_size / page * page).min(size);

        if size == 0 {
            return Err(EINVAL);
        }
        let part = |range: Range<u64>| (!range.is_empty()).then(|| Part::new(range)).transpose();
        Ok(Self {
            parts: [part(0..border)?, part(border..size)?],
            size,
            border,
        })
    }

    /// The parts, from the start of VRAM on.
    pub(super) fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Part> {
        self.parts.iter_mut().flatten()
    }

    /// Free bytes.
    pub(super) fn avail(&self) -> u64 {
        self.parts.iter().flatten().map(Part::avail).sum()
    }

    /// Free bytes that are not known to be zero.
    pub(super) fn dirty_avail(&self) -> u64 {
        self.parts
            .iter()
            .flatten()
            .map(|part| part.mm.dirty_avail())
            .sum()
    }

    /// Takes blocks of either part back; `cleared` says that they are zero.
    pub(super) fn free(&mut self, blocks: Blocks, cleared: bool) {
        for (part, blocks) in self.parts.iter_mut().zip(blocks.split(self.border)) {
            if let (Some(part), Some(blocks)) = (part, blocks) {
                part.mm.free(blocks, cleared);
            }
        }
    }

    /// Allocates exactly this range.
    ///
    /// # Errors
    ///
    /// `ENOSPC`, `ENOMEM`; `EINVAL` for a range that ends outside of VRAM.
    pub(super) fn alloc_exactly(&mut self, range: &Range<u64>) -> Result<Blocks> {
        if range.end > self.size {
            return Err(EINVAL);
        }
        let mut all: Option<Blocks> = None;
        let mut at = range.start;

        for part in self.parts.iter_mut().flatten() {
            let end = range.end.min(part.range.end);
            if at >= end {
                continue;
            }
            match (alloc_exactly(&mut part.mm, at..end), &mut all) {
                (Ok(blocks), Some(all)) => all.append(blocks),
                (Ok(blocks), all @ None) => *all = Some(blocks),
                (Err(err), _) => {
                    if let Some(all) = all {
                        self.undo(all);
                    }
                    return Err(err);
                }
            }
            at = end;
        }
        all.ok_or(EINVAL)
    }

    /// Takes blocks back that nobody has used. They are as zero as they were.
    pub(super) fn undo(&mut self, blocks: Blocks) {
        for (part, blocks) in self.parts.iter_mut().zip(blocks.split(self.border)) {
            if let (Some(part), Some(blocks)) = (part, blocks) {
                part.mm.undo(blocks);
            }
        }
    }

    /// Allocates what is free and not known to be zero: up to `most` bytes in up to `count` blocks.
    pub(super) fn alloc_dirty(&mut self, most: u64, count: usize) -> Option<Blocks> {
        let mut all: Option<Blocks> = None;
        let (mut left, mut count) = (most, count);

        for part in self.parts.iter_mut().flatten() {
            let Some(blocks) = part.mm.alloc_dirty(left, count) else {
                continue;
            };

            left -= blocks.size();
            count -= blocks.iter().count();
            match &mut all {
                Some(all) => all.append(blocks),
                None => all = Some(blocks),
            }
        }
        all
    }

    /// Calls `f` with what is free and known to be zero. Afterwards nothing is known to be zero any
    /// more.
    ///
    /// # Errors
    ///
    /// Those of `f`; `ENOMEM`.
    pub(super) fn forget_clean(&mut self, mut f: impl FnMut(Range<u64>) -> Result) -> Result {
        for part in self.parts.iter_mut().flatten() {
            let free = part.mm.avail();
            if free == 0 {
                continue;
            }

            // All that is free, for a moment.
            let blocks = part.mm.alloc(
                &AllocMode::Simple,
                free,
                PAGE_SIZE as u64,
                AllocFlags::default(),
            )?;
            let result = blocks.clean().try_for_each(&mut f);

            part.mm.free(blocks, false);
            result?;
        }
        Ok(())
    }

    /// Prints what is free and used of each part, by block size.
    pub(super) fn print(&self, p: &Printer) {
        for part in self.parts.iter().flatten() {
            let Range { start, end } = part.range;

            drm_print!(p, "{:#x}-{:#x}: {} bytes free\n", start, end, part.avail());
            drm_print!(p, "free and not zero: {}\n", part.mm.dirty_avail());
            part.mm.print(p);
        }
    }
}
