// SPDX-License-Identifier: GPL-2.0

//! A random walk of allocations and frees, against a map of chunks: nothing is handed out twice,
//! every flag is kept to, and the number of free bytes is right at every step.

use super::*;
use crate::kunit::{
    walk_suite,
    WALK, //
};

const SIZE: u64 = 300 * CHUNK;

/// Allocations alive at a time.
const MAX_ALIVE: usize = 64;

struct Walk {
    mm: Buddy,
    model: Model,
    alive: KVec<Blocks>,
    random: Random,
}

impl Walk {
    fn new() -> Result<Self> {
        Ok(Self {
            mm: Buddy::new(SIZE)?,
            model: Model::new(SIZE)?,
            alive: KVec::with_capacity(MAX_ALIVE, GFP_KERNEL)?,
            random: Random::new(2),
        })
    }

    fn step(&mut self, step: usize) -> Result {
        let before = self.model.free_bytes();

        if self.alive.len() == MAX_ALIVE || (!self.alive.is_empty() && self.random.below(5) < 2) {
            self.free_one()?;
        } else {
            self.alloc_one(step)?;
        }
        check_eq!(
            self.mm.avail(),
            self.model.free_bytes(),
            "step {} from {}",
            step,
            before
        );
        Ok(())
    }

    fn free_one(&mut self) -> Result {
        let at = self.random.below(self.alive.len() as u64) as usize;
        let blocks = self.alive.remove(at).map_err(|_| EINVAL)?;

        for block in blocks.iter() {
            self.model.set(block, false)?;
        }
        self.mm.free(blocks, false);
        Ok(())
    }

    /// Where a request may be met, as a mode and as the range that it stands for.
    fn mode(&mut self) -> (AllocMode, Range<u64>) {
        match self.random.below(3) {
            0 => {
                let start = self.random.below(SIZE / CHUNK - 80);
                let range = start * CHUNK..(start + 41 + self.random.below(39)) * CHUNK;

                (AllocMode::Range(range.clone()), range)
            }
            1 => (AllocMode::TopDown, 0..SIZE),
            _ => (AllocMode::Simple, 0..SIZE),
        }
    }

    fn alloc_one(&mut self, step: usize) -> Result {
        let size = CHUNK * (1 + self.random.below(24));
        let min = CHUNK << self.random.below(3);
        let size = size.next_multiple_of(min);
        let contiguous = self.random.below(4) == 0;
        let (mode, range) = self.mode();
        let mut flags = AllocFlags::default();

        if contiguous {
            flags |= AllocFlag::Contiguous;
        }
        let blocks = match self.mm.alloc(&mode, size, min, flags) {
            Err(err) => {
                check!(err == ENOSPC || err == EINVAL, "step {}", step);
                return Ok(());
            }
            Ok(blocks) => blocks,
        };

        for block in blocks.iter() {
            self.model.set(block.clone(), true)?;
            check!(
                range.start <= block.start && block.end <= range.end,
                "step {}: {:?} in {:?}",
                step,
                block,
                range
            );
        }
        check_eq!(bytes(&blocks), size, "step {}", step);
        check!(
            !contiguous || blocks.contiguous().is_some(),
            "step {}",
            step
        );
        self.alive.push_within_capacity(blocks).map_err(|_| EINVAL)
    }

    /// Frees everything, also after a step that failed.
    fn end(&mut self) {
        for blocks in core::mem::take(&mut self.alive) {
            self.mm.free(blocks, false);
        }
    }
}

fn random_walk() -> Result {
    let mut walk = Walk::new()?;
    let result = (0..WALK).try_for_each(|step| walk.step(step));

    walk.end();
    result?;
    check_eq!(walk.mm.avail(), SIZE);
    Ok(())
}

walk_suite!(pddgpu_gpu_buddy_walk);
