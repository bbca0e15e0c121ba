// SPDX-License-Identifier: GPL-2.0

//! Syncobjs: names that user space gives to fences.
//!
//! C header: [`include/drm/drm_syncobj.h`](srctree/include/drm/drm_syncobj.h)

use core::ptr::NonNull;

use kernel::{
    error::to_result,
    prelude::*,
    sync::aref::ARef, //
};

use crate::{
    abstractions::{
        dma::fence::Fence,
        drm::{
            file::File,
            types::Types, //
        }, //
    },
    bindings::raw as bindings, //
};

/// A point of a syncobj that is going to be signalled by a fence.
///
/// # Invariants
///
/// This value owns a reference on the syncobj and, if there is one, an unused `chain`.
pub(crate) struct Signal {
    syncobj: NonNull<bindings::drm_syncobj>,
    /// For a point of a timeline.
    chain: Option<NonNull<bindings::dma_fence_chain>>,
    point: u64,
}

impl Signal {
    /// Has `fence` signal the point (`drm_syncobj_add_point()`, `drm_syncobj_replace_fence()`).
    pub(crate) fn attach(mut self, fence: &Fence) {
        // SAFETY: By the type invariants. The syncobj takes a reference on the fence of its own, and
        // takes over the chain.
        unsafe {
            match self.chain.take() {
                Some(chain) => bindings::drm_syncobj_add_point(
                    self.syncobj.as_ptr(),
                    chain.as_ptr(),
                    fence.as_raw(),
                    self.point,
                ),
                None => {
                    bindings::drm_syncobj_replace_fence(self.syncobj.as_ptr(), fence.as_raw());
                }
            }
        }
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        // SAFETY: By the type invariants.
        unsafe {
            if let Some(chain) = self.chain {
                bindings::dma_fence_chain_free(chain.as_ptr());
            }
            bindings::drm_syncobj_put(self.syncobj.as_ptr());
        }
    }
}

impl<T: Types> File<T> {
    /// The fence of a point of a syncobj, or of a binary syncobj for point 0
    /// (`drm_syncobj_find_fence()`).
    ///
    /// # Errors
    ///
    /// `ENOENT` for an unknown syncobj; `EINVAL` for a point that has no fence yet.
    pub(crate) fn find_fence(&self, handle: u32, point: u64) -> Result<ARef<Fence>> {
        let mut fence = core::ptr::null_mut();

        // SAFETY: The file is open; the rest is ours.
        to_result(unsafe {
            bindings::drm_syncobj_find_fence(self.as_raw(), handle, point, 0, &mut fence)
        })?;
        let fence = NonNull::new(fence).ok_or(EINVAL)?;

        // SAFETY: The function has given us a reference.
        Ok(unsafe { ARef::from_raw(fence.cast()) })
    }

    /// Prepares to signal a point of a syncobj, or a binary syncobj for point 0.
    ///
    /// # Errors
    ///
    /// `ENOENT` for an unknown syncobj; `ENOMEM`.
    pub(crate) fn prepare_signal(&self, handle: u32, point: u64) -> Result<Signal> {
        // SAFETY: The file is open.
        let syncobj = unsafe { bindings::drm_syncobj_find(self.as_raw(), handle) };

        // INVARIANT: The reference is ours, and there is no chain.
        let mut signal = Signal {
            syncobj: NonNull::new(syncobj).ok_or(ENOENT)?,
            chain: None,
            point,
        };
        if point != 0 {
            // INVARIANT: It is not used yet.
            // SAFETY: May be called anywhere.
            let chain = unsafe { bindings::dma_fence_chain_alloc() };

            signal.chain = Some(NonNull::new(chain).ok_or(ENOMEM)?);
        }
        Ok(signal)
    }
}
