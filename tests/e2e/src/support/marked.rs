// SPDX-License-Identifier: GPL-2.0

//! Buffers whose every page says which one it is.
//!
//! A page is one word over and over, so that a compressed swap has room for any number of them.

use anyhow::{bail, Result};
use pddgpu::{virtual_card::pages::PAGE, Buffer, Card, Create, Mapping};

/// A mapped buffer with such content.
pub struct Marked {
    pub buffer: Buffer,
    pub map: Mapping,
    mark: u64,
}

impl Marked {
    /// Creates a buffer and fills it. Marks are for telling buffers apart.
    pub fn create(card: &Card, create: Create, mark: u64) -> Result<Self> {
        let buffer = card.create(create)?;
        let map = buffer.map()?;
        let mut marked = Self { buffer, map, mark };
        marked.fill(mark);
        Ok(marked)
    }

    /// Fills it anew.
    pub fn fill(&mut self, mark: u64) {
        self.mark = mark;
        for at in (0..self.map.len()).step_by(PAGE) {
            self.map.write(at, &page(mark, at));
        }
    }

    /// Checks every byte.
    pub fn check(&self) -> Result<()> {
        let mut found = [0; PAGE];
        for at in (0..self.map.len()).step_by(PAGE) {
            self.map.read(at, &mut found);
            self.check_page(at, &found)?;
        }
        Ok(())
    }

    /// Checks the page at an offset, however it was read.
    pub fn check_page(&self, at: usize, found: &[u8]) -> Result<()> {
        if found != page(self.mark, at) {
            bail!(
                "buffer {}: at {at:#x} there is {:02x?}…",
                self.mark,
                &found[..8]
            );
        }
        Ok(())
    }
}

/// What is in the page at this offset.
fn page(mark: u64, at: usize) -> [u8; PAGE] {
    let word = ((mark << 32) | at as u64 | 1).to_le_bytes();
    let mut page = [0; PAGE];
    for part in page.chunks_exact_mut(word.len()) {
        part.copy_from_slice(&word);
    }
    page
}
