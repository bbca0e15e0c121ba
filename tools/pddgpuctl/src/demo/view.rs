// SPDX-License-Identifier: GPL-2.0

//! Content that tells which page of a buffer it is, and where in VRAM the card has it.

use std::hash::{BuildHasher, Hasher, RandomState};

use anyhow::{ensure, Result};
use pddgpu::{virtual_card::VirtualCard, Device};

const PAGE: usize = 4096;

/// Bytes of the mark at the start of each page.
const MARK: usize = 8;

/// Makes content in which every page starts with a mark and its own number. The mark is random, as
/// VRAM still holds what earlier buffers left there.
pub fn pattern(bytes: usize) -> Vec<u8> {
    let mark = RandomState::new().build_hasher().finish();
    let mut content: Vec<u8> = (0..bytes)
        .map(|i| (i * 31 + (i >> 12)) as u8 ^ mark as u8)
        .collect();
    for (number, page) in content.chunks_exact_mut(PAGE).enumerate() {
        page[..MARK].copy_from_slice(&mark.to_le_bytes());
        page[MARK..][..8].copy_from_slice(&(number as u64).to_le_bytes());
    }
    content
}

/// Looks for the pages of a pattern in visible VRAM, past the driver, and tells the VRAM offset of
/// each, after checking that every byte is there.
pub fn find_pages(card: &mut VirtualCard, device: &Device, content: &[u8]) -> Result<Vec<u64>> {
    let pages: Vec<_> = content.chunks_exact(PAGE).collect();
    let marks = card.find_vram(&content[..MARK], 0, device.visible_size, pages.len() + 1)?;
    ensure!(
        marks.len() == pages.len(),
        "the card has {} of {} pages",
        marks.len(),
        pages.len()
    );

    let mut offsets = vec![None; pages.len()];
    for run in runs(&marks) {
        let bytes = card.read_vram(run[0], run.len() * PAGE)?;
        for (&offset, page) in run.iter().zip(bytes.chunks_exact(PAGE)) {
            let number = u64::from_le_bytes(page[MARK..][..8].try_into()?);
            let number = usize::try_from(number)?;
            ensure!(
                pages.get(number) == Some(&page),
                "VRAM offset {offset:#x} is damaged"
            );
            offsets[number] = Some(offset);
        }
    }
    let offsets: Vec<_> = offsets.into_iter().flatten().collect();
    ensure!(
        offsets.len() == pages.len(),
        "the card has some pages twice and others not at all"
    );
    Ok(offsets)
}

/// How many ranges of addresses these pages are.
pub fn ranges(offsets: &[u64]) -> usize {
    runs(offsets).count()
}

/// Writes content to where the card has the pages.
pub fn write_pages(card: &mut VirtualCard, offsets: &[u64], content: &[u8]) -> Result<()> {
    let mut rest = content;
    for run in runs(offsets) {
        let bytes;
        (bytes, rest) = rest.split_at(run.len() * PAGE);
        card.write_vram(run[0], bytes)?;
    }
    Ok(())
}

fn runs(offsets: &[u64]) -> impl Iterator<Item = &[u64]> {
    offsets.chunk_by(|&a, &b| a + PAGE as u64 == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_pages_of_patterns_are_equal() {
        let content = [pattern(64 * PAGE), pattern(64 * PAGE)].concat();
        let mut pages: Vec<_> = content.chunks_exact(PAGE).collect();
        pages.sort();
        pages.dedup();
        assert_eq!(pages.len(), 128);
        assert_ne!(content[..MARK], content[64 * PAGE..][..MARK]);
    }

    #[test]
    fn ranges_are_counted() {
        assert_eq!(ranges(&[0]), 1);
        assert_eq!(ranges(&[0, 4096, 8192]), 1);
        assert_eq!(ranges(&[4096, 0, 8192, 12288]), 3);
    }
}
