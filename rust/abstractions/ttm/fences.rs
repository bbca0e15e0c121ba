// SPDX-License-Identifier: GPL-2.0

//! The fences of locked buffers: the device's own, and those that others put there.
//!
//! Another device that uses a buffer through its dma-buf puts a fence there, and so can user space
//! (`DMA_BUF_IOCTL_IMPORT_SYNC_FILE`). When these are signalled is up to them.

use kernel::prelude::*;

use crate::{
    abstractions::{
        dma::fence::Fence,
        ttm::{
            driver::Driver,
            reserved::Locked, //
        }, //
    },
    bindings::raw as bindings, //
};

impl<T: Driver> Locked<'_, T> {
    /// Calls `f` with each fence of the buffer with this usage, or a stronger one, whether it is
    /// signalled or not.
    fn for_each_fence(&self, usage: bindings::dma_resv_usage, mut f: impl FnMut(&Fence)) {
        let mut cursor = bindings::dma_resv_iter::default();

        // SAFETY: resv is held, which keeps the fences until the walk ends.
        unsafe {
            bindings::dma_resv_iter_begin(&mut cursor, (*self.as_ttm()).base.resv, usage);
            let mut fence = bindings::dma_resv_iter_first(&mut cursor);

            while !fence.is_null() {
                f(Fence::from_raw(fence));
                fence = bindings::dma_resv_iter_next(&mut cursor);
            }
            bindings::dma_resv_iter_end(&mut cursor);
        }
    }

    /// The context of a fence of others that is not signalled.
    fn context_of_others(&self) -> Option<u64> {
        let mut context = None;

        self.for_each_fence(bindings::dma_resv_usage_DMA_RESV_USAGE_BOOKKEEP, |fence| {
            if fence.status().is_none() && !T::is_own(self.dev(), fence) {
                context = Some(fence.context());
            }
        });
        context
    }

    /// Whether another device, or user space, still uses the buffer, as far as its fences say.
    pub(crate) fn is_used_by_others(&self) -> bool {
        self.context_of_others().is_some()
    }

    /// Replaces the fences of others by a signalled one (`dma_resv_replace_fences()`).
    pub(super) fn forget_others(&self) {
        while let Some(context) = self.context_of_others() {
            // SAFETY: resv is held, and takes a reference on the replacement.
            unsafe {
                bindings::dma_resv_replace_fences(
                    (*self.as_ttm()).base.resv,
                    context,
                    Fence::stub().as_raw(),
                    bindings::dma_resv_usage_DMA_RESV_USAGE_BOOKKEEP,
                )
            };
        }
    }

    /// How the moves and clears of the buffer have ended: the first error of those of its
    /// `DMA_RESV_USAGE_KERNEL` fences that are signalled.
    ///
    /// # Errors
    ///
    /// What the device's driver signalled.
    pub(super) fn kernel_status(&self) -> Result {
        let mut status = Ok(());

        self.for_each_fence(bindings::dma_resv_usage_DMA_RESV_USAGE_KERNEL, |fence| {
            if let (Ok(()), Some(Err(err))) = (status, fence.status()) {
                status = Err(err);
            }
        });
        status
    }

    /// Whether the moves and clears of the buffer have ended.
    pub(super) fn has_arrived(&self) -> bool {
        // SAFETY: resv is held.
        unsafe {
            bindings::dma_resv_test_signaled(
                (*self.as_ttm()).base.resv,
                bindings::dma_resv_usage_DMA_RESV_USAGE_KERNEL,
            )
        }
    }
}
