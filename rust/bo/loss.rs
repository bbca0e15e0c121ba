// SPDX-License-Identifier: GPL-2.0

//! Buffers whose content was lost with that of VRAM: they read zeroes from then on, and say so.

use core::ops::ControlFlow;

use kernel::prelude::*;

use crate::{
    abstractions::ttm::{
        self,
        Locked,
        OperationCtx,
        Usage, //
    },
    bo::object::{
        vram_addresses,
        BoDriver, //
    },
    copy_engine::JobOwner,
    device::PddgpuDevice, //
};

/// Whether a buffer has memory in VRAM that has lost its content, and was not zeroed since.
pub(super) fn is_stale(bo: &Locked<'_, BoDriver>) -> bool {
    let vram = &bo.dev().vram;

    bo.resource()
        .and_then(|res| vram.get(res))
        .is_some_and(|resource| vram.is_stale(resource))
}

/// Has the memory of a buffer zeroed whose content was lost with that of VRAM, and notes the loss.
/// Returns whether that was so. To be called before the content is accessed.
///
/// # Errors
///
/// `EIO` if the engine was given up; `ENODEV` once the card is unplugged; `ENOMEM`.
pub(super) fn settle(bo: &Locked<'_, BoDriver>, ctx: &mut OperationCtx) -> Result<bool> {
    let pdev = bo.dev();
    let Some(vram) = bo.resource().and_then(|res| pdev.vram.get(res)) else {
        return Ok(false);
    };

    if !pdev.vram.is_stale(vram) {
        return Ok(false);
    }
    match &pdev.engine {
        Some(engine) => {
            let all = vram_addresses(pdev, vram.ranges())?;
            let slot = bo.reserve_fence()?;
            let fence = engine.clear(pdev.enter()?.parent(), all, JobOwner::default())?;

            slot.add(&fence, Usage::Kernel);
        }
        None => bo.clear(ctx)?,
    }
    pdev.vram.set_fresh(vram);
    bo.object().holders.set_lost();
    Ok(true)
}

/// Settles the loss of all that VRAM holds, and says in the log how much that was.
pub(crate) fn settle_all(dev: &PddgpuDevice) {
    let mut lost = (0, 0);
    let mut unsettled = 0;

    ttm::for_each_buffer::<BoDriver>(
        dev.vram.base(),
        &mut OperationCtx::interruptible(),
        |bo, ctx| {
            match settle(bo, ctx) {
                Ok(true) => {
                    lost.0 += 1;
                    lost.1 += bo.object().size();
                }
                Ok(false) => (),
                Err(_) => unsettled += 1,
            }
            ControlFlow::Continue(())
        },
    );
    if lost.0 + unsettled > 0 {
        dev_err!(
            dev.stats.dev(),
            "VRAM has lost its content: {} buffers of {} bytes are zero now, {} have no content\n",
            lost.0,
            lost.1,
            unsettled
        );
    }
}
