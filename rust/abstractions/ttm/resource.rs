// SPDX-License-Identifier: GPL-2.0

//! Resources: the memory that a manager has allocated to a buffer.
//!
//! C header: [`include/drm/ttm/ttm_resource.h`](srctree/include/drm/ttm/ttm_resource.h)

use kernel::types::Opaque;

use crate::{
    abstractions::ttm::{
        device::BaseDevice,
        placement::MemType, //
    },
    bindings::raw as bindings, //
};

/// The memory that a manager has allocated to a buffer.
///
/// # Invariants
///
/// Wraps a `struct ttm_resource` that its manager has completed and that does not change.
#[repr(transparent)]
pub(crate) struct Resource(Opaque<bindings::ttm_resource>);

/// The `start` of a resource that is not one contiguous range.
pub(super) const INVALID_START: usize = usize::MAX;

impl Resource {
    /// # Safety
    ///
    /// `ptr` must point to a completed `struct ttm_resource` that stays so for `'a`.
    pub(super) unsafe fn from_raw<'a>(ptr: *mut bindings::ttm_resource) -> &'a Self {
        // INVARIANT: By this function's requirements.
        // SAFETY: By this function's requirements the resource is valid; `Resource` is transparent.
        unsafe { &*ptr.cast() }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::ttm_resource {
        self.0.get()
    }

    /// The kind of memory; [`None`] for one that [`MemType`] does not have.
    pub(crate) fn mem_type(&self) -> Option<MemType> {
        // SAFETY: By the type invariant.
        MemType::from_raw(unsafe { (*self.as_raw()).mem_type })
    }

    /// The first page in the memory, if the resource is one contiguous range.
    pub(crate) fn start(&self) -> Option<u64> {
        // SAFETY: By the type invariant.
        let start = unsafe { (*self.as_raw()).start };

        // CAST: Both are 64 bits wide where TTM's pages are.
        (start != INVALID_START).then_some(start as u64)
    }

    /// Whether its memory consists of the pages of a `ttm_tt`.
    pub(super) fn uses_tt(&self) -> bool {
        // SAFETY: Constant; the managers of a device last longer than its resources.
        unsafe { (*self.manager()).use_tt }
    }

    pub(super) fn manager(&self) -> *mut bindings::ttm_resource_manager {
        // SAFETY: By the type invariant. A resource always has a buffer; which one may change while
        // it is moved, but not on what device it is.
        unsafe {
            bindings::ttm_manager_type(
                (*(*self.as_raw()).bo).bdev,
                (*self.as_raw()).mem_type as core::ffi::c_int,
            )
        }
    }
}

/// Bytes of a kind of memory that are in use by buffers, as TTM counts them
/// (`ttm_resource_manager_usage()`); 0 for a kind that the device does not have. While a buffer is
/// moved, its old and its new resource both count.
pub(crate) fn usage(dev: &BaseDevice, mem_type: MemType) -> u64 {
    // SAFETY: The device is initialised, and its managers last as long as it does.
    unsafe {
        let man = bindings::ttm_manager_type(dev.as_raw(), mem_type.as_raw() as core::ffi::c_int);

        if man.is_null() {
            return 0;
        }
        bindings::ttm_resource_manager_usage(man)
    }
}
