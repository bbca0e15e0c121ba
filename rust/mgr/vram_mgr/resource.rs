// SPDX-License-Identifier: GPL-2.0

//! The VRAM of a buffer.

use core::ops::Range;

use kernel::sync::atomic::Atomic;

use crate::{
    abstractions::gpu_buddy::{
        Blocks,
        Ranges, //
    },
    client::Booked, //
};

/// The VRAM of one buffer.
pub(crate) struct VramResource {
    /// The blocks; [`None`] after `free()`.
    pub(super) blocks: Option<Blocks>,
    /// Bytes of the blocks.
    pub(super) size: u64,
    /// Bytes of the blocks that are inside the aperture.
    pub(super) visible: u64,
    /// How often VRAM had lost its content when that of the blocks was last whole.
    pub(super) losses: Atomic<u64>,
    /// Its entry in the books.
    pub(crate) booked: Booked,
}

impl VramResource {
    /// The ranges of VRAM that were not known to be zero when they were allocated.
    pub(crate) fn dirty(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.blocks.iter().flat_map(Blocks::dirty)
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
