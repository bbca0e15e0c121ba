// SPDX-License-Identifier: GPL-2.0

//! Evacuation: what VRAM holds is moved to system memory, before the card loses VRAM. It
//! comes back as all that is displaced does, see [`returning`](super::returning).

use core::ops::ControlFlow;

use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    rbtree::RBTree, //
};

use crate::{
    abstractions::{
        memory,
        ttm::{
            self,
            MemType,
            OperationCtx, //
        },
        turnstile::Passage, //
    },
    bo::object::{
        BoData,
        BoDriver, //
    },
    client::Content,
    device::{
        Pddgpu,
        PddgpuDevice, //
    },
    memory_stats::leak::Owner, //
};

/// Times that VRAM is gone through. Who was just creating a buffer may have been missed.
const PASSES: u32 = 8;

/// Moves all that VRAM holds of clients to system memory. Buffers
/// whose content is not needed lose it. Returns when nothing of VRAM is in use any more. Nobody gets
/// memory in VRAM as long as the result is held.
///
/// # Errors
///
/// `ENOMEM` if there is not enough memory and swap, which the log explains; `EIO` if the engine was
/// given up; `EBUSY` if a buffer cannot be moved because others use it; `ERESTARTSYS` on a signal. What
/// was moved by then has moved.
pub(crate) fn evacuate_vram(dev: &PddgpuDevice) -> Result<Passage<'_>> {
    let passage = dev.turnstile.exclusive()?;

    if in_vram(dev) == 0 {
        return Ok(passage);
    }
    let shortage = Shortage::new(dev)?;
    if shortage.missing() > 0 {
        shortage.log(dev);
        return Err(ENOMEM);
    }

    for _ in 0..PASSES {
        let result = evacuate_once(dev);

        // Buffers that are being freed have their memory until their jobs have ended.
        dev.bdev.wait_for_delayed_deletes();
        match result {
            Err(ENOMEM) => {
                Shortage::new(dev)?.log(dev);
                return Err(ENOMEM);
            }
            Err(err) => return Err(err),
            Ok(()) if in_vram(dev) == 0 => return Ok(passage),
            Ok(()) => (),
        }
    }
    Err(EBUSY)
}

/// Bytes of VRAM that buffers have.
fn in_vram(dev: &Pddgpu) -> u64 {
    ttm::usage(&dev.bdev, MemType::Vram)
}

fn evacuate_once(dev: &PddgpuDevice) -> Result {
    const GTT_OR_SYSTEM: [ttm::Place; 2] = [
        ttm::Place::anywhere(MemType::Tt),
        ttm::Place::anywhere(MemType::System),
    ];
    const SYSTEM: [ttm::Place; 1] = [ttm::Place::anywhere(MemType::System)];
    let mut result = Ok(());

    ttm::for_each_buffer::<BoDriver>(
        dev.vram.base(),
        &mut OperationCtx::interruptible(),
        |bo, ctx| {
            // What is not needed is dropped on its way.
            let is_needed = bo.object().holders.content() == Content::Needed;
            let places: &[_] = if is_needed { &GTT_OR_SYSTEM } else { &SYSTEM };

            result = bo.validate(places, ctx);
            if result.is_ok() {
                bo.object().residency.set_evacuated();
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        },
    );
    result
}

/// Whose buffers are in VRAM, and whether they would fit into system memory.
struct Shortage {
    /// Bytes that have to be moved.
    needed: u64,
    /// Bytes of memory and of swap that are free.
    free: u64,
    /// The processes that created the buffers, and their bytes.
    owners: RBTree<i32, (Owner, u64)>,
}

impl Shortage {
    fn new(dev: &PddgpuDevice) -> Result<Self> {
        let mut this = Self {
            needed: 0,
            free: memory::available() + ttm::free_swap() * PAGE_SIZE as u64,
            owners: RBTree::new(),
        };
        let mut result = Ok(());

        ttm::for_each_buffer::<BoDriver>(
            dev.vram.base(),
            &mut OperationCtx::interruptible(),
            |bo, _| {
                result = this.add(bo.object(), bo.object().size());
                if result.is_ok() {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            },
        );
        result.map(|()| this)
    }

    fn add(&mut self, bo: &BoData, bytes: u64) -> Result {
        if bo.holders.content() != Content::Needed {
            return Ok(());
        }
        self.needed += bytes;
        let owner = bo.tracking.owner;
        match self.owners.get_mut(&owner.pid) {
            Some((_, sum)) => *sum += bytes,
            None => {
                self.owners
                    .try_create_and_insert(owner.pid, (owner, bytes), GFP_KERNEL)?;
            }
        }
        Ok(())
    }

    /// Bytes for which there is no memory.
    fn missing(&self) -> u64 {
        self.needed.saturating_sub(self.free)
    }

    /// Says how much is missing, and who has most of it.
    fn log(&self, dev: &PddgpuDevice) {
        let Some((owner, bytes)) = self.owners.values().max_by_key(|(_, bytes)| *bytes) else {
            return;
        };

        dev_err!(
            dev.stats.dev(),
            "VRAM cannot be saved: {} bytes in use, {} bytes of memory and swap free, {} bytes missing; {}[{}] has {} bytes, {} other processes {}\n",
            self.needed,
            self.free,
            self.missing(),
            owner.comm(),
            owner.pid,
            bytes,
            self.owners.values().count() - 1,
            self.needed - bytes
        );
    }
}
