// SPDX-License-Identifier: GPL-2.0

//! The GART's entries and the cache of them.
//!
//! The cache forgets nothing by itself: what has been read once stays until it is flushed, whatever
//! becomes of the table. That is the hardest case for a driver, which real hardware, whose caches
//! are small, shows now and then only.

use crate::address_space::{ADDRESS_BITS, PAGE_SIZE};

/// Entries that are read and kept together: those of 64 bytes of the table.
pub const LINE: usize = 8;

/// Bytes of an entry.
pub const ENTRY_LEN: u64 = 8;

/// The most pages of GTT there are, and so entries of the cache.
const PAGES_MAX: u64 = (4 << 30) / PAGE_SIZE;

/// A bit of an entry that means nothing to the card, which marks a place in the cache as taken.
const KEPT: u64 = 1 << 63;

/// An entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry(pub u64);

impl Entry {
    const VALID: u64 = 1 << 0;
    const WRITABLE: u64 = 1 << 1;
    const ADDRESS: u64 = ((1 << 52) - 1) & !(PAGE_SIZE - 1);

    /// The bus address of the page, if the entry lets an access of this kind through.
    pub fn page(self, write: bool) -> Option<u64> {
        let needed = Entry::VALID | if write { Entry::WRITABLE } else { 0 };
        let address = self.0 & Entry::ADDRESS;
        (self.0 & needed == needed && address >> ADDRESS_BITS == 0).then_some(address)
    }
}

/// The cache of entries.
pub struct Gart {
    /// By page of the GTT; 0 for what is not kept.
    entries: Vec<u64>,
    /// The first pages of the lines that are kept.
    lines: Vec<usize>,
}

impl Gart {
    /// An empty cache for a GTT of `gtt_size` bytes.
    pub fn new(gtt_size: u64) -> Self {
        let pages = gtt_size.div_ceil(PAGE_SIZE).min(PAGES_MAX) as usize;
        Gart {
            entries: vec![0; pages.next_multiple_of(LINE)],
            lines: Vec::new(),
        }
    }

    /// The entry of a page of the GTT, if it is kept.
    pub fn get(&self, page: u64) -> Option<Entry> {
        let entry = *self.entries.get(usize::try_from(page).ok()?)?;
        (entry & KEPT != 0).then_some(Entry(entry & !KEPT))
    }

    /// Keeps the line of entries that begins at `first`, a multiple of [`LINE`].
    pub fn keep(&mut self, first: u64, line: [u64; LINE]) {
        // Beyond the end there is nothing to keep, and an odd card's pages may be far beyond.
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        let end = first.saturating_add(LINE);
        if let Some(kept) = self.entries.get_mut(first..end) {
            for (kept, entry) in kept.iter_mut().zip(line) {
                *kept = entry | KEPT;
            }
            self.lines.push(first);
        }
    }

    /// Forgets everything.
    pub fn flush(&mut self) {
        for first in self.lines.drain(..) {
            self.entries[first..first + LINE].fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_let_through_what_they_say() {
        let table = [
            (0, None, None),
            (0x1000, None, None),
            (0x1002, None, None),
            (0x1001, Some(0x1000), None),
            (0x1003, Some(0x1000), Some(0x1000)),
            // The snoop bit and those without a meaning.
            (0xfff0_0000_0000_1fff, Some(0x1000), Some(0x1000)),
            (
                0x0fff_ffff_f003,
                Some(0x0fff_ffff_f000),
                Some(0x0fff_ffff_f000),
            ),
            (0x1000_0000_0003, None, None),
        ];
        for (entry, read, write) in table {
            assert_eq!(Entry(entry).page(false), read, "{entry:#x}");
            assert_eq!(Entry(entry).page(true), write, "{entry:#x}");
        }
    }

    #[test]
    fn kept_until_flushed() {
        let mut gart = Gart::new(1 << 20);
        assert_eq!(gart.get(8), None);
        gart.keep(8, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(gart.get(7), None);
        assert_eq!(
            gart.get(8),
            Some(Entry(0)),
            "entries that are not valid too"
        );
        assert_eq!(gart.get(15), Some(Entry(7)));
        assert_eq!(gart.get(16), None);
        gart.flush();
        assert_eq!(gart.get(15), None);
        assert!(gart.lines.is_empty());
    }

    #[test]
    fn pages_that_are_not_there() {
        for (size, pages) in [(0, 0), (1, 8), (1 << 20, 256), (u64::MAX, PAGES_MAX)] {
            let mut gart = Gart::new(size);
            assert_eq!(gart.entries.len() as u64, pages);
            for page in [pages, u64::MAX & !7] {
                gart.keep(page, [1; LINE]);
                assert_eq!(gart.get(page), None, "{size:#x} {page:#x}");
            }
        }
    }
}
