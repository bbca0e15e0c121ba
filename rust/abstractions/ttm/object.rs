// SPDX-License-Identifier: GPL-2.0

//! Buffer objects.
//!
//! C header: [`include/drm/ttm/ttm_bo.h`](srctree/include/drm/ttm/ttm_bo.h)

use core::{
    mem::offset_of,
    ops::Deref,
    ptr::{
        addr_of_mut,
        NonNull, //
    }, //
};

use kernel::{
    page::PAGE_SHIFT,
    prelude::*,
    sync::aref::AlwaysRefCounted,
    types::Opaque, //
};

use crate::{
    abstractions::{
        drm::{
            self,
            gem, //
        },
        time::jiffies_to_ns,
        ttm::types::{
            DrmDevice,
            Types, //
        }, //
    },
    bindings::raw as bindings, //
};

// DRM and TTM both cast between the two.
const _: () = assert!(offset_of!(bindings::ttm_buffer_object, base) == 0);

/// A buffer object: a TTM buffer object, which embeds a GEM object, and the data of the driver.
///
/// It does not keep its device alive. A handle, a mapping or a dma-buf does, so hold a reference
/// only as long as one of them exists.
///
/// # Invariants
///
/// - `bo` is initialised by TTM, on a device of `T`, and `data` is complete.
/// - It lives in a `KBox` that `destroy_callback` frees.
#[repr(C)]
pub(crate) struct Object<T: Types> {
    bo: Opaque<bindings::ttm_buffer_object>,
    pub(super) data: T::Object,
}

// SAFETY: A buffer is used from any thread; `data` is `Send` and `Sync`.
unsafe impl<T: Types> Send for Object<T> {}

// SAFETY: `data` is `Sync`. What else of a buffer is not constant is reached through `Locked` only,
// which shows that its lock is held.
unsafe impl<T: Types> Sync for Object<T> {}

impl<T: Types> Object<T> {
    /// The buffer's device.
    pub(crate) fn dev(&self) -> &DrmDevice<T> {
        // SAFETY: The GEM object points to its device, a `drm::Device<T::Drm>`: `new` set it.
        unsafe { DrmDevice::<T>::from_base(drm::Base::from_raw((*self.gem()).dev)) }
    }

    /// Bytes, a multiple of the page size.
    pub(crate) fn size(&self) -> u64 {
        // SAFETY: Constant.
        unsafe { (*self.gem()).size as u64 }
    }

    /// Bytes to which the buffer's address is aligned, at least a page.
    pub(crate) fn alignment(&self) -> u64 {
        // SAFETY: Constant.
        u64::from(unsafe { (*self.as_ttm()).page_alignment }.max(1)) << PAGE_SHIFT
    }

    /// The offset at which user space maps the buffer from a DRM file.
    pub(crate) fn mmap_offset(&self) -> u64 {
        // SAFETY: The node was added when the buffer was made, and stays as long as it lives.
        unsafe { bindings::drm_vma_node_offset_addr(addr_of_mut!((*self.gem()).vma_node)) }
    }

    /// Waits for all fences of the buffer, for at most `timeout` jiffies
    /// (`dma_resv_wait_timeout()`). With 0 it does not wait.
    ///
    /// The fences get the end of the timeout as their deadline (`dma_resv_set_deadline()`), so that
    /// the device's driver can check for a lost interrupt in time.
    ///
    /// # Errors
    ///
    /// `ETIME`; `ERESTARTSYS` on a signal.
    pub(crate) fn wait(&self, timeout: c_ulong) -> Result {
        // SAFETY: The resv is initialised as long as the buffer lives.
        let left = unsafe {
            // CAST: 2^63 ns are 292 years.
            let deadline = jiffies_to_ns(timeout as u64).min(i64::MAX as u64) as i64;

            bindings::dma_resv_set_deadline(
                (*self.gem()).resv,
                bindings::dma_resv_usage_DMA_RESV_USAGE_READ,
                bindings::ktime_get().saturating_add(deadline),
            );
            bindings::dma_resv_wait_timeout(
                (*self.gem()).resv,
                bindings::dma_resv_usage_DMA_RESV_USAGE_READ,
                true,
                timeout,
            )
        };

        match left {
            0 => Err(ETIME),
            left if left < 0 => Err(Error::from_errno(left as c_int)),
            _ => Ok(()),
        }
    }

    pub(super) fn as_ttm(&self) -> *mut bindings::ttm_buffer_object {
        self.bo.get()
    }

    fn gem(&self) -> *mut bindings::drm_gem_object {
        self.bo.get().cast()
    }
}

impl<T: Types> Deref for Object<T> {
    type Target = T::Object;

    fn deref(&self) -> &T::Object {
        &self.data
    }
}

// SAFETY: The GEM count keeps the buffer alive.
unsafe impl<T: Types> AlwaysRefCounted for Object<T> {
    fn inc_ref(&self) {
        // SAFETY: A shared reference means that the count is not zero.
        unsafe { bindings::drm_gem_object_get(self.gem()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference it holds; the GEM object is the first field.
        unsafe { bindings::drm_gem_object_put(obj.as_ptr().cast()) };
    }
}

// SAFETY: The GEM object is the first field, and its count is the one used above.
unsafe impl<T: Types> gem::Object for Object<T> {
    fn as_gem(&self) -> *mut bindings::drm_gem_object {
        self.gem()
    }

    unsafe fn from_gem<'a>(ptr: *mut bindings::drm_gem_object) -> &'a Self {
        // SAFETY: By the trait's requirements.
        unsafe { &*ptr.cast() }
    }
}
