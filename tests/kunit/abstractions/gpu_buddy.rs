// SPDX-License-Identifier: GPL-2.0

//! The buddy allocator: what it hands out, and that it gets all of it back.

use kernel::{
    prelude::*,
    sizes::*, //
};

use super::*;
use crate::kunit::{
    check,
    check_eq,
    Random, //
};

#[path = "gpu_buddy/blocks.rs"]
mod allocated;
#[path = "gpu_buddy/index.rs"]
mod index;
#[path = "gpu_buddy/walk.rs"]
mod walk;

const CHUNK: u64 = SZ_4K as u64;
const MIB: u64 = SZ_1M as u64;

/// Sizes that are one, two and many powers of two.
const SIZES: [u64; 7] = [
    CHUNK,
    2 * CHUNK,
    3 * CHUNK,
    MIB,
    MIB + CHUNK,
    7 * MIB,
    16 * MIB - CHUNK,
];

fn bytes(blocks: &Blocks) -> u64 {
    blocks.iter().map(|block| block.end - block.start).sum()
}

/// The one block of a request that must be met by one.
fn single(blocks: &Blocks) -> Result<Range<u64>> {
    let mut iter = blocks.iter();
    let first = iter.next().ok_or(EINVAL)?;

    match iter.next() {
        Some(_) => Err(EINVAL),
        None => Ok(first),
    }
}

/// A map of chunks, to compare with.
struct Model {
    taken: KVec<bool>,
}

impl Model {
    fn new(size: u64) -> Result<Self> {
        Ok(Self {
            taken: KVec::from_elem(false, (size / CHUNK) as usize, GFP_KERNEL)?,
        })
    }

    fn free_bytes(&self) -> u64 {
        self.taken.iter().filter(|taken| !**taken).count() as u64 * CHUNK
    }

    /// Takes or gives back chunks, all of which must have been the other way.
    fn set(&mut self, range: Range<u64>, taken: bool) -> Result {
        for chunk in range.start / CHUNK..range.end / CHUNK {
            let slot = self.taken.get_mut(chunk as usize).ok_or(ERANGE)?;

            if *slot == taken {
                return Err(EEXIST);
            }
            *slot = taken;
        }
        Ok(())
    }
}

#[kunit_tests(pddgpu_gpu_buddy)]
mod tests {
    use super::*;

    #[test]
    fn bad_sizes_are_refused() -> Result {
        for size in [0, 1, CHUNK - 1] {
            check_eq!(Buddy::new(size).err(), Some(EINVAL), "{:#x}", size);
        }
        Ok(())
    }

    #[test]
    fn an_odd_end_is_left_out() -> Result {
        for (size, expected) in [(CHUNK + 1, CHUNK), (2 * CHUNK - 1, CHUNK), (MIB + 5, MIB)] {
            check_eq!(Buddy::new(size)?.avail(), expected, "{:#x}", size);
        }
        Ok(())
    }

    #[test]
    fn takes_all_in_chunks_and_gives_it_back() -> Result {
        for size in SIZES {
            let mut mm = Buddy::new(size)?;
            let mut model = Model::new(size)?;
            let mut all = KVec::new();

            for _ in 0..size / CHUNK {
                let blocks = mm.alloc(&AllocMode::Simple, CHUNK, CHUNK, AllocFlags::default())?;

                model.set(single(&blocks)?, true)?;
                all.push(blocks, GFP_KERNEL)?;
            }
            check_eq!(mm.avail(), 0, "{:#x}", size);
            check_eq!(
                mm.alloc(&AllocMode::Simple, CHUNK, CHUNK, AllocFlags::default())
                    .err(),
                Some(ENOSPC),
                "{:#x}",
                size
            );
            for blocks in all {
                mm.free(blocks, false);
            }
            check_eq!(mm.avail(), size);
        }
        Ok(())
    }

    #[test]
    fn takes_all_at_once() -> Result {
        for size in SIZES {
            for (mode, flags) in [
                (AllocMode::Simple, AllocFlags::default()),
                (AllocMode::Simple, AllocFlag::Contiguous.into()),
                (AllocMode::TopDown, AllocFlags::default()),
                (AllocMode::Range(0..size), AllocFlags::default()),
            ] {
                let mut mm = Buddy::new(size)?;
                let blocks = mm.alloc(&mode, size, CHUNK, flags)?;

                check_eq!(bytes(&blocks), size);
                check_eq!(mm.avail(), 0);
                check_eq!(blocks.contiguous(), Some(0..size));
                mm.free(blocks, false);
                check_eq!(mm.avail(), size);
            }
        }
        Ok(())
    }

    #[test]
    fn min_block_size_is_the_alignment() -> Result {
        let mut mm = Buddy::new(16 * MIB)?;

        for order in 0..=10 {
            let align = CHUNK << order;
            let odd = mm.alloc(&AllocMode::Simple, CHUNK, CHUNK, AllocFlags::default())?;
            let blocks = mm.alloc(&AllocMode::Simple, 2 * align, align, AllocFlags::default())?;

            for block in blocks.iter() {
                check_eq!(block.start % align, 0, "{:?} by {:#x}", block, align);
                check!(
                    block.end - block.start >= align,
                    "{:?} by {:#x}",
                    block,
                    align
                );
            }
            check_eq!(bytes(&blocks), 2 * align);
            mm.free(blocks, false);
            mm.free(odd, false);
        }
        check_eq!(mm.avail(), 16 * MIB);
        Ok(())
    }

    #[test]
    fn topdown_is_the_end_and_a_range_the_start() -> Result {
        for size in [CHUNK, 2 * CHUNK, 64 * CHUNK] {
            let mut mm = Buddy::new(MIB)?;
            let low = mm.alloc(
                &AllocMode::Range(0..MIB / 2),
                size,
                size,
                AllocFlags::default(),
            )?;
            let high = mm.alloc(&AllocMode::TopDown, size, size, AllocFlags::default())?;

            check_eq!(high.contiguous(), Some(MIB - size..MIB), "{:#x}", size);
            check_eq!(low.contiguous(), Some(0..size), "{:#x}", size);
            mm.free(low, false);
            mm.free(high, false);
        }
        Ok(())
    }

    #[test]
    fn a_range_is_kept_to() -> Result {
        for (range, size) in [
            (0..CHUNK, CHUNK),
            (MIB - CHUNK..MIB, CHUNK),
            (3 * CHUNK..7 * CHUNK, 4 * CHUNK),
            (3 * CHUNK..7 * CHUNK, 2 * CHUNK),
            (CHUNK..MIB - CHUNK, MIB / 4),
            (CHUNK..MIB - CHUNK, MIB - 2 * CHUNK),
            (MIB / 2..MIB, MIB / 2),
        ] {
            for flags in [AllocFlags::default(), AllocFlag::PreferCleared.into()] {
                let mut mm = Buddy::new(MIB)?;
                let blocks = mm.alloc(&AllocMode::Range(range.clone()), size, CHUNK, flags)?;

                check_eq!(bytes(&blocks), size, "{:?}", range);
                check!(
                    blocks
                        .iter()
                        .all(|block| range.start <= block.start && block.end <= range.end),
                    "{:?}",
                    range
                );
                mm.free(blocks, false);
                check_eq!(mm.avail(), MIB);
            }
        }
        Ok(())
    }

    #[test]
    fn an_exact_range_is_that_range_or_nothing() -> Result {
        let mut mm = Buddy::new(MIB)?;
        let taken = mm.alloc(
            &AllocMode::Range(8 * CHUNK..9 * CHUNK),
            CHUNK,
            CHUNK,
            AllocFlags::default(),
        )?;

        for (start, end, free) in [(0, 8, true), (9, 20, true), (8, 9, false), (0, 20, false)] {
            let range = start * CHUNK..end * CHUNK;
            let result = mm.alloc(
                &AllocMode::Range(range.clone()),
                range.end - range.start,
                CHUNK,
                AllocFlags::default(),
            );

            check_eq!(
                result.as_ref().err(),
                (!free).then_some(&ENOSPC),
                "{:?}",
                range
            );
            if let Ok(blocks) = result {
                check_eq!(blocks.contiguous(), Some(range.clone()));
                mm.free(blocks, false);
            }
            check_eq!(mm.avail(), MIB - CHUNK, "{:?}", range);
        }
        mm.free(taken, false);
        Ok(())
    }

    #[test]
    fn what_can_never_be_met_is_einval() -> Result {
        let mut mm = Buddy::new(MIB)?;

        for (mode, size, min) in [
            (AllocMode::Simple, 0, CHUNK),
            (AllocMode::Simple, CHUNK + 1, CHUNK),
            (AllocMode::Simple, CHUNK, CHUNK / 2),
            (AllocMode::Simple, CHUNK, 3 * CHUNK),
            (AllocMode::Simple, 2 * MIB, CHUNK),
            (AllocMode::Range(1..MIB), CHUNK, CHUNK),
            (AllocMode::Range(0..MIB + CHUNK), CHUNK, CHUNK),
        ] {
            check_eq!(
                mm.alloc(&mode, size, min, AllocFlags::default()).err(),
                Some(EINVAL),
                "{:#x} by {:#x}, {:?}",
                size,
                min,
                mode
            );
            check_eq!(mm.avail(), MIB);
        }
        Ok(())
    }

    /// Every other chunk taken: half is free, and none of it in one piece of two.
    #[test]
    fn contiguous_and_not_in_fragments() -> Result {
        let mut mm = Buddy::new(MIB)?;
        let mut kept = KVec::new();
        let mut holes = KVec::new();

        for chunk in 0..MIB / CHUNK {
            let range = chunk * CHUNK..(chunk + 1) * CHUNK;
            let blocks = mm.alloc(
                &AllocMode::Range(range),
                CHUNK,
                CHUNK,
                AllocFlags::default(),
            )?;

            if chunk % 2 == 0 {
                kept.push(blocks, GFP_KERNEL)?;
            } else {
                holes.push(blocks, GFP_KERNEL)?;
            }
        }
        for blocks in holes {
            mm.free(blocks, false);
        }

        check_eq!(mm.avail(), MIB / 2);
        check_eq!(
            mm.alloc(
                &AllocMode::Simple,
                2 * CHUNK,
                CHUNK,
                AllocFlag::Contiguous.into()
            )
            .err(),
            Some(ENOSPC)
        );
        check_eq!(mm.avail(), MIB / 2);

        let scattered = mm.alloc(&AllocMode::Simple, 8 * CHUNK, CHUNK, AllocFlags::default())?;
        check_eq!(scattered.iter().count(), 8);
        check_eq!(bytes(&scattered), 8 * CHUNK);
        check_eq!(scattered.contiguous(), None);
        mm.free(scattered, false);

        for blocks in kept {
            mm.free(blocks, false);
        }
        check_eq!(mm.avail(), MIB);
        Ok(())
    }

    #[test]
    fn contiguous_of_any_size_is_one_range() -> Result {
        let mut mm = Buddy::new(MIB)?;

        for chunks in 1..=MIB / CHUNK {
            let size = chunks * CHUNK;
            let blocks = mm.alloc(
                &AllocMode::Simple,
                size,
                CHUNK,
                AllocFlag::Contiguous.into(),
            )?;

            check_eq!(
                blocks.contiguous().map(|range| range.end - range.start),
                Some(size),
                "{} chunks",
                chunks
            );
            check_eq!(mm.avail(), MIB - size, "{} chunks", chunks);
            mm.free(blocks, false);
            check_eq!(mm.avail(), MIB, "{} chunks", chunks);
        }
        Ok(())
    }

    #[test]
    fn trim_gives_back_the_end_of_a_single_block() -> Result {
        for order in 0..=6 {
            let block_size = CHUNK << order;

            for chunks in 1..=block_size / CHUNK {
                let mut mm = Buddy::new(MIB)?;
                let blocks = mm.alloc(
                    &AllocMode::Simple,
                    block_size,
                    block_size,
                    AllocFlags::default(),
                )?;
                let before = single(&blocks)?;
                let blocks = mm.trim(blocks, chunks * CHUNK)?;

                check_eq!(
                    blocks.contiguous(),
                    Some(before.start..before.start + chunks * CHUNK),
                    "{:#x} to {} chunks",
                    block_size,
                    chunks
                );
                check_eq!(mm.avail(), MIB - chunks * CHUNK);
                mm.free(blocks, false);
                check_eq!(mm.avail(), MIB);
            }
        }
        Ok(())
    }

    #[test]
    fn trim_leaves_what_it_cannot_trim() -> Result {
        let mut mm = Buddy::new(MIB)?;

        // Several blocks.
        let blocks = mm.alloc(&AllocMode::Simple, 3 * CHUNK, CHUNK, AllocFlags::default())?;
        check_eq!(blocks.iter().count(), 2);
        let mut blocks = mm.trim(blocks, CHUNK)?;
        check_eq!(bytes(&blocks), 3 * CHUNK);
        mm.free(blocks, false);

        // Sizes that are none, too large or no chunks.
        blocks = mm.alloc(
            &AllocMode::Simple,
            4 * CHUNK,
            4 * CHUNK,
            AllocFlags::default(),
        )?;
        for size in [0, 5 * CHUNK, CHUNK + 1, u64::MAX] {
            blocks = mm.trim(blocks, size)?;
            check_eq!(bytes(&blocks), 4 * CHUNK, "{:#x}", size);
        }
        mm.free(blocks, false);
        check_eq!(mm.avail(), MIB);
        Ok(())
    }

    #[test]
    fn blocks_merge_again() -> Result {
        for seed in 0..8 {
            let mut random = Random::new(seed);
            let mut mm = Buddy::new(MIB)?;
            let mut all = KVec::new();

            while let Ok(blocks) = mm.alloc(&AllocMode::Simple, CHUNK, CHUNK, AllocFlags::default())
            {
                all.push(blocks, GFP_KERNEL)?;
            }
            while !all.is_empty() {
                let at = random.below(all.len() as u64) as usize;
                mm.free(all.remove(at).map_err(|_| EINVAL)?, false);
            }

            let whole = mm.alloc(&AllocMode::Simple, MIB, MIB, AllocFlags::default())?;
            check_eq!(single(&whole)?, 0..MIB, "seed {}", seed);
            mm.free(whole, false);
        }
        Ok(())
    }
}
