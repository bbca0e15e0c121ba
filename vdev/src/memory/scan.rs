// SPDX-License-Identifier: GPL-2.0

//! Questions about much VRAM at once: where is a pattern, what is the hash of a range.
//!
//! Both pass over holes without reading them, so that they are fast on a card that is mostly
//! empty.

use std::collections::BTreeSet;
use std::ops::Range;

use memchr::memmem::Finder;
use sha2::{Digest, Sha256};

use crate::memory::vram::{Vram, VramError};

/// Bytes that are looked at in one go.
const CHUNK: u64 = 1 << 20;

/// Offsets within `range` at which `pattern` begins, rising, at most `limit` of them. Only whole
/// patterns within the range count; overlapping ones each do.
///
/// `pattern` must hold a byte that is not zero: one of zeroes only is in every hole.
pub fn find(
    vram: &Vram,
    pattern: &[u8],
    range: Range<u64>,
    limit: usize,
) -> Result<Vec<u64>, VramError> {
    let finder = Finder::new(pattern);
    let reach = (pattern.len() as u64).saturating_sub(1);
    let mut found = BTreeSet::new();
    let mut buffer = vec![0; (CHUNK + reach) as usize];

    for data in vram.data(range.start, range.end - range.start)? {
        // A pattern may begin or end with zeroes that lie in the hole before or after the data.
        let from = data.start.saturating_sub(reach).max(range.start);
        for at in (from..data.end).step_by(CHUNK as usize) {
            let len = (CHUNK + reach).min(range.end - at) as usize;
            vram.read(at, &mut buffer[..len])?;
            let mut next = 0;
            while let Some(index) = finder.find(&buffer[next..len]) {
                found.insert(at + (next + index) as u64);
                if found.len() >= limit {
                    return Ok(found.into_iter().collect());
                }
                next += index + 1;
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// SHA-256 over the bytes of `range`.
pub fn hash(vram: &Vram, range: Range<u64>) -> Result<[u8; 32], VramError> {
    let zeroes = vec![0; CHUNK as usize];
    let mut buffer = vec![0; CHUNK as usize];
    let mut hash = Sha256::new();
    let mut hashed = range.start;

    let hash_zeroes = |hash: &mut Sha256, mut count: u64| {
        while count > 0 {
            let len = count.min(CHUNK);
            hash.update(&zeroes[..len as usize]);
            count -= len;
        }
    };
    for data in vram.data(range.start, range.end - range.start)? {
        hash_zeroes(&mut hash, data.start - hashed);
        for at in data.clone().step_by(CHUNK as usize) {
            let len = CHUNK.min(data.end - at) as usize;
            vram.read(at, &mut buffer[..len])?;
            hash.update(&buffer[..len]);
        }
        hashed = data.end;
    }
    hash_zeroes(&mut hash, range.end - hashed);
    Ok(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: u64 = 16 << 20;

    fn vram() -> Vram {
        let vram = Vram::new(LEN, 1 << 20).unwrap();
        vram.set_open(true).unwrap();
        vram
    }

    #[test]
    fn finds_patterns_wherever_they_lie() {
        let vram = vram();
        // Across the aperture's end, across a chunk's end, at a page's end before a hole, last.
        let places = [(1 << 20) - 2, (3 << 20) - 1, (5 << 20) + 4092, LEN - 4];
        vram.fill(2 << 20, 2 << 19, [7; 4]).unwrap();
        for place in places {
            vram.write(place, b"leak").unwrap();
        }
        let all = 0..LEN;
        assert_eq!(find(&vram, b"leak", all.clone(), 10).unwrap(), places);
        assert_eq!(find(&vram, b"leak", all.clone(), 2).unwrap(), places[..2]);
        assert_eq!(find(&vram, b"leak\0\0", all.clone(), 10).unwrap().len(), 3);
        assert_eq!(
            find(&vram, b"\0\0leak", places[2] - 2..LEN, 10).unwrap(),
            [places[2] - 2, places[3] - 2]
        );
        assert_eq!(
            find(&vram, b"leak", places[0] + 1..LEN - 1, 10).unwrap(),
            places[1..3]
        );
        assert!(find(&vram, b"gone", all, 10).unwrap().is_empty());
    }

    #[test]
    fn overlapping_patterns_each_count() {
        let vram = vram();
        vram.write(100, b"aaaa").unwrap();
        assert_eq!(find(&vram, b"aa", 0..LEN, 10).unwrap(), [100, 101, 102]);
    }

    #[test]
    fn hash_is_that_of_the_bytes() {
        let vram = vram();
        vram.write((1 << 20) - 5, b"0123456789").unwrap();
        vram.fill(5 << 20, 3 << 20, [1, 2, 3, 4]).unwrap();
        for range in [0..LEN, 0..0, 17..17 + (6 << 20), (9 << 20)..LEN] {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            vram.read(range.start, &mut bytes).unwrap();
            assert_eq!(
                hash(&vram, range.clone()).unwrap()[..],
                Sha256::digest(&bytes)[..]
            );
        }
    }
}
