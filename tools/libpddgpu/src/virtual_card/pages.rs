// SPDX-License-Identifier: GPL-2.0

//! Finds the pages of a buffer in the card's VRAM by what is written in them.
//!
//! The driver only gives the address of a buffer that is one range. A buffer in several ranges is
//! filled with a pattern that numbers its pages. Then the card is searched for the pattern.

use crate::{
    error::{Error, Result},
    virtual_card::VirtualCard,
};

/// Bytes of a page.
pub const PAGE: usize = 4096;

/// Bytes of the mark at the start of each page.
const MARK: usize = 8;

/// Bytes at the start of each page that say which one it is: the mark and a number.
const HEAD: usize = 2 * MARK;

/// Makes content in which every page starts with the same mark and with its own number. Different
/// seeds make different marks, so that pages are not taken for those of earlier buffers.
pub fn pattern(seed: u64, bytes: usize) -> Vec<u8> {
    let mark = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut content = Vec::with_capacity(bytes.next_multiple_of(MARK));
    for index in 0..bytes.div_ceil(MARK) {
        let word = (index as u64).wrapping_mul(0x1f1f_3d3d_5b5b_7979) ^ mark;
        content.extend_from_slice(&word.to_le_bytes());
    }
    content.truncate(bytes);
    for (number, page) in content.chunks_exact_mut(PAGE).enumerate() {
        page[..MARK].copy_from_slice(&mark.to_le_bytes());
        page[MARK..HEAD].copy_from_slice(&(number as u64).to_le_bytes());
    }
    content
}

/// Searches the first `len` bytes of VRAM for the pages of a pattern and gives the VRAM offset of
/// each. Fails unless every page is there exactly once with all its bytes.
pub fn find(card: &mut VirtualCard, len: u64, content: &[u8]) -> Result<Vec<u64>> {
    let pages: Vec<_> = content.chunks_exact(PAGE).collect();
    let marks = card.find_vram(&content[..MARK], 0, len, pages.len() + 1)?;
    if marks.len() != pages.len() {
        let (found, wanted) = (marks.len(), pages.len());
        return Err(card_has(&format!("{found} pages and not {wanted}")));
    }
    let mut offsets = vec![None; pages.len()];
    for run in runs(&marks) {
        let bytes = card.read_vram(run[0], run.len() * PAGE)?;
        for (&offset, page) in run.iter().zip(bytes.chunks_exact(PAGE)) {
            let number = page[MARK..HEAD].try_into().map(u64::from_le_bytes);
            let number = number.expect("a number is as long as a mark") as usize;
            if pages.get(number) != Some(&page) {
                return Err(card_has(&format!("a damaged page at {offset:#x}")));
            }
            offsets[number] = Some(offset);
        }
    }
    let offsets: Option<Vec<_>> = offsets.into_iter().collect();
    offsets.ok_or_else(|| card_has("some pages twice"))
}

fn card_has(what: &str) -> Error {
    Error::Unexpected(format!("the card has {what}"))
}

/// Writes content into the pages at these VRAM offsets.
pub fn write(card: &mut VirtualCard, offsets: &[u64], content: &[u8]) -> Result<()> {
    let mut rest = content;
    for run in runs(offsets) {
        let bytes;
        (bytes, rest) = rest.split_at(run.len() * PAGE);
        card.write_vram(run[0], bytes)?;
    }
    Ok(())
}

/// Groups VRAM offsets of pages into the ranges that these pages form.
pub fn runs(offsets: &[u64]) -> impl Iterator<Item = &[u64]> {
    offsets.chunk_by(|&a, &b| a + PAGE as u64 == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_pages_of_patterns_are_equal() {
        let content = [pattern(0, 64 * PAGE), pattern(1, 64 * PAGE)].concat();
        let mut pages: Vec<_> = content.chunks_exact(PAGE).collect();
        pages.sort();
        pages.dedup();
        assert_eq!(pages.len(), 128);
        assert_ne!(content[..MARK], content[64 * PAGE..][..MARK]);
    }

    #[test]
    fn ranges_are_counted() {
        assert_eq!(runs(&[0]).count(), 1);
        assert_eq!(runs(&[0, 4096, 8192]).count(), 1);
        assert_eq!(runs(&[4096, 0, 8192, 12288]).count(), 3);
    }
}
