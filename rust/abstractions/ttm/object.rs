// SPDX-License-Identifier: GPL-2.0

//! Buffer objects.
//!
//! C header: [`include/drm/ttm/ttm_bo.h`](srctree/include/drm/ttm/ttm_bo.h)

use core::{
    cell::UnsafeCell,
    mem::offset_of,
    ops::Deref,
    ptr::{
        addr_of_mut,
        NonNull, //
    }, //
};

use kernel::{
    error::to_result,
    page::PAGE_SHIFT,
    prelude::*,
    sync::aref::ARef,
    types::Opaque, //
};

use crate::{
    abstractions::{
        dma::{
            attachment::Attachment,
            fence::Fence,
            resv, //
        },
        drm::{
            self,
            gem, //
        },
        memcg::MemCgroup,
        ttm::{
            importers::Importers,
            types::{
                DrmDevice,
                Types, //
            }, //
        }, //
    },
    bindings::raw as bindings, //
};

/// The list of a manager in which a buffer is. TTM evicts those of lists with a lower number first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Priority {
    /// Its content may be dropped.
    NotNeeded = 0,
    /// It is needed less than others.
    Low = 1,
    /// It is needed.
    Normal = 2,
    /// It is needed more than others.
    High = 3,
}

const _: () = assert!((Priority::High as u32) < bindings::TTM_MAX_BO_PRIORITY);

impl From<u32> for Priority {
    /// The priority with a number, or else the normal one.
    fn from(number: u32) -> Self {
        [Self::NotNeeded, Self::Low, Self::High]
            .into_iter()
            .find(|priority| *priority as u32 == number)
            .unwrap_or(Self::Normal)
    }
}

// DRM and TTM both cast between the two.
const _: () = assert!(offset_of!(bindings::ttm_buffer_object, base) == 0);

/// A buffer object: a TTM buffer object, which embeds a GEM object, and the data of the driver.
///
/// It does not keep its device alive. A handle, a mapping or a dma-buf does, and the last of them
/// may go while the buffer's memory is still in use by the device; then TTM frees it later. The
/// device waits for that before it goes itself ([`drm::Driver::release`]). So a reference on a
/// buffer ([`gem::Ref`]) borrows the device.
///
/// # Invariants
///
/// - `bo` is initialised by TTM, on a device of `T`, and `data` is complete.
/// - It lives in a `KBox` that `destroy_callback` frees.
#[repr(C)]
pub(crate) struct Object<T: Types> {
    bo: Opaque<bindings::ttm_buffer_object>,
    /// Pays for the buffer's pages: that of the process that created it.
    pub(super) cgroup: MemCgroup,
    /// The dma-buf of another device whose memory it has.
    pub(super) import: Option<Attachment>,
    /// What other devices have mapped of it. Protected by resv.
    pub(super) importers: UnsafeCell<Importers>,
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

    /// Whether it has the memory of a dma-buf of another device.
    pub(crate) fn is_imported(&self) -> bool {
        self.import.is_some()
    }

    /// Whether its content may be written. A dma-buf that was shared to be read only may not.
    pub(crate) fn is_writable(&self) -> bool {
        self.import
            .as_ref()
            .is_none_or(|import| import.buf().is_writable())
    }

    /// The offset at which user space maps the buffer from a DRM file.
    pub(crate) fn mmap_offset(&self) -> u64 {
        // SAFETY: The node was added when the buffer was made, and stays as long as it lives.
        unsafe { bindings::drm_vma_node_offset_addr(addr_of_mut!((*self.gem()).vma_node)) }
    }

    /// Waits for all fences of the buffer, until `deadline`, in ns of `CLOCK_MONOTONIC`. With one
    /// that has passed it does not wait.
    ///
    /// The fences get that deadline too (`dma_resv_set_deadline()`), so that the device's driver can
    /// check for a lost interrupt in time.
    ///
    /// # Errors
    ///
    /// `ETIME`, not before the deadline; `ERESTARTSYS` on a signal; the error of a move or a clear
    /// that it waited for; `ENOMEM`.
    pub(crate) fn wait_until(&self, deadline: i64) -> Result {
        const READ: bindings::dma_resv_usage = bindings::dma_resv_usage_DMA_RESV_USAGE_READ;
        const KERNEL: bindings::dma_resv_usage = bindings::dma_resv_usage_DMA_RESV_USAGE_KERNEL;

        // SAFETY: The resv is initialised as long as the buffer lives.
        let resv = unsafe {
            let resv = (*self.gem()).resv;

            if bindings::dma_resv_test_signaled(resv, READ) {
                return Ok(());
            }
            bindings::dma_resv_set_deadline(resv, READ, deadline);
            resv
        };

        // SAFETY: The resv is initialised as long as the buffer lives.
        for fence in unsafe { resv::fences(resv, KERNEL)? }.iter() {
            fence.wait_until(deadline)?;
            fence.status().unwrap_or(Err(ETIME))?;
        }
        // What others do with the buffer has no say in its content.
        // SAFETY: The resv is initialised as long as the buffer lives.
        for fence in unsafe { resv::fences(resv, READ)? }.iter() {
            fence.wait_until(deadline)?;
        }
        Ok(())
    }

    /// A fence that is signalled when the moves and clears of the buffer have ended, with their error
    /// if one has failed (`dma_resv_get_singleton()`).
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn moves_fence(&self) -> Result<ARef<Fence>> {
        let mut fence = core::ptr::null_mut();

        // SAFETY: The resv is initialised as long as the buffer lives.
        to_result(unsafe {
            bindings::dma_resv_get_singleton(
                (*self.gem()).resv,
                bindings::dma_resv_usage_DMA_RESV_USAGE_KERNEL,
                &mut fence,
            )
        })?;

        Ok(match NonNull::new(fence) {
            // SAFETY: The function has given us a reference.
            Some(fence) => unsafe { ARef::from_raw(fence.cast()) },
            None => Fence::stub(),
        })
    }

    /// Waits until the moves and clears of the buffer have ended, with success or with an error.
    ///
    /// # Errors
    ///
    /// `ERESTARTSYS` on a signal.
    pub(super) fn wait_for_moves(&self) -> Result {
        self.wait_for_usage(bindings::dma_resv_usage_DMA_RESV_USAGE_KERNEL)
    }

    /// Waits for all fences of the buffer, whoever put them there and what for.
    ///
    /// # Errors
    ///
    /// `ERESTARTSYS` on a signal.
    pub(crate) fn wait_for_all(&self) -> Result {
        self.wait_for_usage(bindings::dma_resv_usage_DMA_RESV_USAGE_BOOKKEEP)
    }

    /// Waits for all fences of the buffer, however long that takes.
    pub(super) fn wait_idle(&self) {
        // SAFETY: The resv is initialised as long as the buffer lives.
        unsafe {
            bindings::dma_resv_wait_timeout(
                (*self.gem()).resv,
                bindings::dma_resv_usage_DMA_RESV_USAGE_BOOKKEEP,
                false,
                c_ulong::MAX >> 1,
            )
        };
    }

    pub(super) fn wait_for_usage(&self, usage: bindings::dma_resv_usage) -> Result {
        const FOREVER: c_ulong = c_ulong::MAX >> 1;

        // SAFETY: The resv is initialised as long as the buffer lives.
        let left =
            unsafe { bindings::dma_resv_wait_timeout((*self.gem()).resv, usage, true, FOREVER) };

        if left < 0 {
            return Err(Error::from_errno(left as c_int));
        }
        Ok(())
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

// SAFETY: The GEM object is the first field.
unsafe impl<T: Types> gem::Object for Object<T> {
    fn as_gem(&self) -> *mut bindings::drm_gem_object {
        self.gem()
    }

    unsafe fn from_gem<'a>(ptr: *mut bindings::drm_gem_object) -> &'a Self {
        // SAFETY: By the trait's requirements.
        unsafe { &*ptr.cast() }
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../../tests/kunit/abstractions/ttm/object.rs"]
mod kunit;
