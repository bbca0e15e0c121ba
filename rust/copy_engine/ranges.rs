// SPDX-License-Identifier: GPL-2.0

//! The memory that a job reads or writes.

use core::ops::Range;

use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// Memory as byte ranges, in the order of a buffer's pages.
pub(crate) struct Ranges {
    pub(super) ranges: KVVec<Range<u64>>,
    pub(super) bytes: u64,
}

impl Ranges {
    /// Collects ranges from an iterator. A range that begins where the one before it ends is merged
    /// with it.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(ranges: impl Iterator<Item = Range<u64>>) -> Result<Self> {
        let mut this = Self {
            ranges: KVVec::new(),
            bytes: 0,
        };

        for range in ranges {
            this.bytes += range.end - range.start;
            match this.ranges.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => this.ranges.push(range, GFP_KERNEL)?,
            }
        }
        Ok(this)
    }

    /// A part of the ranges: `bytes` from `at` on, which is advanced to their end. It is charged to
    /// the caller's memory cgroup.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn part(&self, at: &mut Cursor, bytes: u64) -> Result<Self> {
        let mut ranges = KVVec::new();
        let mut left = bytes;

        while left > 0 {
            let rest = at.rest(self);
            let here = (rest.end - rest.start).min(left);
            if here == 0 {
                return Err(EINVAL);
            }

            ranges.push(rest.start..rest.start + here, GFP_KERNEL_ACCOUNT)?;
            at.advance(self, here);
            left -= here;
        }
        Ok(Self { ranges, bytes })
    }

    /// Whether the ranges have no bytes.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

/// One end of a copy.
pub(crate) enum CopyEnd {
    /// Memory that is mapped at these GPU addresses.
    Mapped(Ranges),
    /// System pages at these bus addresses, which have no GPU address. They are accessed through a
    /// transfer window. Only the first range may begin, and only the last may end, within a page.
    SystemPages(Ranges),
}

impl CopyEnd {
    /// A part of it: `bytes` from `skip` on.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL` if it has less bytes.
    pub(crate) fn part(&self, skip: u64, bytes: u64) -> Result<Self> {
        let mut at = Cursor::default();

        at.advance(self.ranges(), skip);
        self.next_part(&mut at, bytes)
    }

    /// A part of it: `bytes` from `at` on, which is advanced to their end.
    ///
    /// # Errors
    ///
    /// Those of [`part`](Self::part).
    pub(super) fn next_part(&self, at: &mut Cursor, bytes: u64) -> Result<Self> {
        Ok(match self {
            Self::Mapped(ranges) => Self::Mapped(ranges.part(at, bytes)?),
            Self::SystemPages(ranges) => Self::SystemPages(ranges.part(at, bytes)?),
        })
    }

    /// Whether it is at GPU addresses in `window`, wholly or in part.
    pub(super) fn is_mapped_in(&self, window: &Range<u64>) -> bool {
        match self {
            Self::Mapped(ranges) => ranges
                .ranges
                .iter()
                .any(|range| range.start < window.end && window.start < range.end),
            Self::SystemPages(_) => false,
        }
    }

    /// Bytes of it.
    pub(super) fn bytes(&self) -> u64 {
        self.ranges().bytes
    }

    pub(super) fn ranges(&self) -> &Ranges {
        match self {
            Self::Mapped(ranges) | Self::SystemPages(ranges) => ranges,
        }
    }

    pub(super) fn is_windowed(&self) -> bool {
        matches!(self, Self::SystemPages(_))
    }

    /// The GPU address at `at`, and how many bytes are contiguous from there. `window` is the
    /// address inside of the transfer window, for system pages.
    pub(super) fn next(&self, at: &Cursor, window: u64) -> (u64, u64) {
        match self {
            Self::Mapped(ranges) => {
                let rest = at.rest(ranges);

                (rest.start, rest.end - rest.start)
            }
            Self::SystemPages(_) => (window, u64::MAX),
        }
    }

    /// Bytes into the page at `at`, for system pages.
    pub(super) fn within_page(&self, at: &Cursor) -> u64 {
        if self.is_windowed() {
            at.rest(self.ranges()).start % PAGE_SIZE as u64
        } else {
            0
        }
    }

    /// The bus addresses of the pages from `at` on that a window of `size` bytes has room for.
    pub(super) fn pages(&self, at: Cursor, size: u64) -> impl Iterator<Item = Range<u64>> + '_ {
        const MASK: u64 = PAGE_SIZE as u64 - 1;
        let ranges = self.ranges();
        let others = ranges.ranges.iter().skip(at.index + 1).cloned();

        Iterator::chain(core::iter::once(at.rest(ranges)), others).scan(size, |room, range| {
            let start = range.start & !MASK;
            let end = range.end.checked_add(MASK)? & !MASK;
            let bytes = (end - start).min(*room);

            *room -= bytes;
            (bytes > 0).then_some(start..start + bytes)
        })
    }
}

/// A position in [`Ranges`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    index: usize,
    /// Bytes into the range.
    offset: u64,
}

impl Cursor {
    /// The rest of the range that it is in; empty at the end of the last.
    pub(super) fn rest(&self, ranges: &Ranges) -> Range<u64> {
        match ranges.ranges.get(self.index) {
            Some(range) => range.start + self.offset..range.end,
            None => 0..0,
        }
    }

    pub(super) fn advance(&mut self, ranges: &Ranges, mut bytes: u64) {
        while bytes > 0 {
            let rest = self.rest(ranges);
            let here = rest.end - rest.start;

            if here > bytes {
                self.offset += bytes;
                return;
            }
            if here == 0 {
                return;
            }
            bytes -= here;
            *self = Self {
                index: self.index + 1,
                offset: 0,
            };
        }
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/copy_engine/ranges.rs"]
mod kunit;
