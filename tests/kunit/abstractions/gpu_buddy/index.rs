// SPDX-License-Identifier: GPL-2.0

//! Looking up a byte of blocks.

use super::*;

fn collect(ranges: impl Iterator<Item = Range<u64>>) -> Result<KVec<Range<u64>>> {
    let mut all = KVec::new();

    for range in ranges {
        all.push(range, GFP_KERNEL)?;
    }
    Ok(all)
}

#[kunit_tests(pddgpu_gpu_buddy_index)]
mod tests {
    use super::*;

    /// In one block, in few and in many, and at any place in each.
    #[test]
    fn ranges_begin_anywhere() -> Result {
        for count in [1, 2, 16, 17, 100] {
            let mut mm = Buddy::new(MIB)?;
            let mut pieces = KVec::new();

            // Every other chunk, so that no block is larger.
            while let Ok(piece) = mm.alloc(&AllocMode::Simple, CHUNK, CHUNK, AllocFlags::default())
            {
                pieces.push(piece, GFP_KERNEL)?;
            }
            let mut kept = KVec::new();
            for piece in pieces {
                let start = single(&piece)?.start;

                if start / CHUNK % 2 == 0 {
                    kept.push(piece, GFP_KERNEL)?;
                } else {
                    mm.free(piece, false);
                }
            }
            let size = (count as u64 * CHUNK).min(mm.avail());
            let mut blocks = mm.alloc(&AllocMode::Simple, size, CHUNK, AllocFlags::default())?;
            blocks.make_index()?;

            let all = collect(blocks.iter())?;
            for skip in (0..size).step_by(CHUNK as usize) {
                let mut left = skip;
                let mut expected = KVec::new();
                for range in all.iter() {
                    let here = (range.end - range.start).min(left);

                    left -= here;
                    if range.start + here < range.end {
                        expected.push(range.start + here..range.end, GFP_KERNEL)?;
                    }
                }
                let found = collect(blocks.iter_from(skip))?;
                check!(found[..] == expected[..], "{} blocks, {:#x}", count, skip);
            }
            check!(blocks.iter_from(size).next().is_none());
            mm.free(blocks, false);
            for piece in kept {
                mm.free(piece, false);
            }
        }
        Ok(())
    }
}
