// SPDX-License-Identifier: GPL-2.0

//! How operations on buffers may wait.
//!
//! C header: [`include/drm/ttm/ttm_bo.h`](srctree/include/drm/ttm/ttm_bo.h)

use kernel::prelude::*;

use crate::{
    abstractions::task,
    bindings::raw as bindings, //
};

/// The context of an operation: how it may wait (`struct ttm_operation_ctx`).
#[repr(transparent)]
pub(crate) struct OperationCtx(bindings::ttm_operation_ctx);

impl OperationCtx {
    /// For an operation that user space requested. Signals interrupt its waits, and if memory is
    /// short it fails instead of invoking the OOM killer.
    pub(crate) fn interruptible() -> Self {
        Self(bindings::ttm_operation_ctx {
            interruptible: true,
            gfp_retry_mayfail: true,
            ..Default::default()
        })
    }

    /// For memory reclaim: it does not wait for the device.
    pub(super) fn no_wait() -> Self {
        Self(bindings::ttm_operation_ctx {
            no_wait_gpu: true,
            ..Default::default()
        })
    }

    /// For an operation that nobody may stop: it waits for the device and for locks.
    pub(super) fn uninterruptible() -> Self {
        Self(bindings::ttm_operation_ctx::default())
    }

    /// Ends a long operation of a process that is being killed. Other signals do not: the operation
    /// would start over again and again for a process that gets them regularly.
    ///
    /// # Errors
    ///
    /// `EINTR` if a fatal signal is pending and the operation is interruptible.
    pub(super) fn check_killed(&self) -> Result {
        if self.0.interruptible {
            task::check_killed()?;
        }
        Ok(())
    }

    /// # Safety
    ///
    /// `ptr` must point to a context that is the caller's alone during `'a`.
    pub(super) unsafe fn from_raw<'a>(ptr: *mut bindings::ttm_operation_ctx) -> &'a mut Self {
        // SAFETY: By this function's requirements; `OperationCtx` is transparent.
        unsafe { &mut *ptr.cast() }
    }

    pub(super) fn as_raw(&mut self) -> *mut bindings::ttm_operation_ctx {
        &mut self.0
    }
}
