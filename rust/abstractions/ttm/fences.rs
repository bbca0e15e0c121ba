// SPDX-License-Identifier: GPL-2.0

//! The fences of locked buffers: the device's own, and those that others put there.
//!
//! Another device that uses a buffer through its dma-buf puts a fence there, and so can user space
//! (`DMA_BUF_IOCTL_IMPORT_SYNC_FILE`). When these are signalled is up to them.

use kernel::{
    error::to_result,
    prelude::*, //
};

use crate::{
    abstractions::{
        dma::fence::Fence,
        ttm::{
            driver::Driver,
            reserved::Locked,
            types::{
                DrmDevice,
                Types, //
            }, //
        }, //
    },
    bindings::raw as bindings, //
};

/// What the work behind a fence does with a buffer (`enum dma_resv_usage`), the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    /// It moves or clears the buffer. Everything waits for it, also accesses by the CPU.
    Kernel,
    /// It writes the content.
    Write,
    /// It reads the content.
    Read,
    /// Anything else. Only what frees or moves the memory waits for it.
    Bookkeep,
}

impl Usage {
    fn as_raw(self) -> bindings::dma_resv_usage {
        match self {
            Self::Kernel => bindings::dma_resv_usage_DMA_RESV_USAGE_KERNEL,
            Self::Write => bindings::dma_resv_usage_DMA_RESV_USAGE_WRITE,
            Self::Read => bindings::dma_resv_usage_DMA_RESV_USAGE_READ,
            Self::Bookkeep => bindings::dma_resv_usage_DMA_RESV_USAGE_BOOKKEEP,
        }
    }
}

/// A reserved slot for a fence in the resv of a locked buffer.
pub(crate) struct FenceSlot<'a, T: Types>(&'a Locked<'a, T>);

impl<T: Types> FenceSlot<'_, T> {
    /// Adds `fence` to the resv (`dma_resv_add_fence()`).
    pub(crate) fn add(self, fence: &Fence, usage: Usage) {
        // SAFETY: resv is held, and has room.
        unsafe {
            bindings::dma_resv_add_fence(
                (*self.0.as_ttm()).base.resv,
                fence.as_raw(),
                usage.as_raw(),
            )
        };
    }
}

impl<T: Types> Locked<'_, T> {
    /// Reserves a slot for a fence (`dma_resv_reserve_fences()`). Do so before the work is started,
    /// because adding the fence cannot fail after that.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn reserve_fence(&self) -> Result<FenceSlot<'_, T>> {
        // SAFETY: resv is held.
        to_result(unsafe { bindings::dma_resv_reserve_fences((*self.as_ttm()).base.resv, 1) })?;
        Ok(FenceSlot(self))
    }

    /// Calls `f` with each fence of the buffer with this usage, or a stronger one, whether it is
    /// signalled or not, until it fails.
    ///
    /// # Errors
    ///
    /// Those of `f`.
    pub(crate) fn for_each_fence(
        &self,
        usage: Usage,
        mut f: impl FnMut(&Fence) -> Result,
    ) -> Result {
        let mut cursor = bindings::dma_resv_iter::default();

        // SAFETY: resv is held, which keeps the fences until the walk ends.
        unsafe {
            bindings::dma_resv_iter_begin(&mut cursor, (*self.as_ttm()).base.resv, usage.as_raw());
            let mut fence = bindings::dma_resv_iter_first(&mut cursor);

            let mut result = Ok(());
            while !fence.is_null() && result.is_ok() {
                result = f(Fence::from_raw(fence));
                fence = bindings::dma_resv_iter_next(&mut cursor);
            }
            bindings::dma_resv_iter_end(&mut cursor);
            result
        }
    }
}

impl<T: Driver> Locked<'_, T> {
    /// The context of a fence that is not signalled, and of which `f` does not hold.
    fn context_of_other(&self, f: fn(&DrmDevice<T>, &Fence) -> bool) -> Option<u64> {
        let mut context = None;

        let _ = self.for_each_fence(Usage::Bookkeep, |fence| {
            // In this order: a fence of our own has either its operations, or a status by the time it
            // has lost them.
            if !f(self.dev(), fence) && fence.status().is_none() {
                context = Some(fence.context());
            }
            Ok(())
        });
        context
    }

    /// Whether the buffer is still used, as far as its fences say, by another device, by user space, or
    /// by work of the device itself that a move would not come after.
    pub(crate) fn is_in_use(&self) -> bool {
        self.context_of_other(T::is_ordered).is_some()
    }

    /// Whether the buffer is still used, as far as its fences say, by user space, or by devices of others.
    pub(super) fn is_used_by_others(&self) -> bool {
        self.context_of_other(T::is_own).is_some()
    }

    /// Replaces the fences of other devices and of user space by a signalled one (`dma_resv_replace_fences()`).
    pub(super) fn forget_others(&self) {
        while let Some(context) = self.context_of_other(T::is_own) {
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
        self.for_each_fence(Usage::Kernel, |fence| fence.status().unwrap_or(Ok(())))
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
