// SPDX-License-Identifier: GPL-2.0

//! TTM devices.
//!
//! C header: [`include/drm/ttm/ttm_device.h`](srctree/include/drm/ttm/ttm_device.h)

use core::ptr::from_ref;

use kernel::{
    device::{
        self,
        Bound, //
    },
    error::to_result,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed, //
        },
        Arc, //
    },
    types::Opaque, //
};

use crate::{
    abstractions::{
        drm,
        slab::Cache, //
    },
    bindings::raw as bindings, //
};

/// How many buffers that are being freed wait for their fences at a time.
const MAX_DELETES: c_int = 256;

/// A `struct ttm_device`.
///
/// # Invariants
///
/// Wraps an initialised `struct ttm_device`.
#[pin_data(PinnedDrop)]
pub(crate) struct BaseDevice {
    #[pin]
    bdev: Opaque<bindings::ttm_device>,
    /// Number of pages in system memory of all buffers.
    populated: Atomic<i64>,
    /// Buffers whose pages are mapped for DMA.
    mapped: Atomic<i64>,
    /// The memory of the buffers. They are all gone before the device is.
    pub(super) objects: Cache,
}

// SAFETY: TTM devices are used from any thread.
unsafe impl Send for BaseDevice {}

// SAFETY: TTM does its own locking.
unsafe impl Sync for BaseDevice {}

impl BaseDevice {
    /// Initialises TTM for a device below `parent`, whose pages it maps for DMA
    /// (`ttm_device_init()`).
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    ///
    /// # Safety
    ///
    /// All buffers of the device must be what `funcs` takes them for.
    pub(super) unsafe fn with_funcs(
        funcs: &'static bindings::ttm_device_funcs,
        objects: Cache,
        parent: &device::Device<Bound>,
        drm: &drm::Base,
    ) -> Result<Arc<Self>> {
        let init = try_pin_init!(Self {
            bdev <- Opaque::try_ffi_init(|bdev: *mut bindings::ttm_device| {
                // SAFETY: `bdev` is memory for a device that never moves; TTM wants it zeroed. The
                // parent is valid; the DRM device's address spaces last until its last file is
                // closed, and so longer than any use TTM makes of them.
                to_result(unsafe {
                    bdev.write_bytes(0, 1);
                    bindings::ttm_device_init(
                        bdev,
                        funcs,
                        from_ref(parent).cast_mut().cast(),
                        (*(*drm.as_raw()).anon_inode).i_mapping,
                        (*drm.as_raw()).vma_offset_manager,
                        bindings::TTM_ALLOCATION_PROPAGATE_ENOSPC,
                    )
                })?;

                // TTM frees the memory of moved and deleted buffers in workers that wait for fences, up
                // to 16 at a time. Clients and other devices decide when theirs are signalled, and
                // who waits for these must not keep the others from their memory.
                // SAFETY: Just initialised.
                unsafe { bindings::workqueue_set_max_active((*bdev).wq, MAX_DELETES) };
                Ok::<_, Error>(())
            }),
            populated: Atomic::new(0),
            mapped: Atomic::new(0),
            objects,
        }? Error);

        Arc::pin_init(init, GFP_KERNEL)
    }

    pub(super) fn as_raw(&self) -> *mut bindings::ttm_device {
        self.bdev.get()
    }

    /// # Safety
    ///
    /// `bdev` must be that of a `BaseDevice` that stays valid for `'a`.
    pub(super) unsafe fn from_raw<'a>(bdev: *mut bindings::ttm_device) -> &'a Self {
        // SAFETY: By this function's requirements.
        unsafe { &*kernel::container_of!(Opaque::cast_from(bdev), Self, bdev) }
    }

    /// The number of pages in system memory of all buffers now.
    pub(super) fn populated(&self) -> u64 {
        // Concurrent updates may be seen in any order, so the value may be negative for a moment.
        u64::try_from(self.populated.load(Relaxed)).unwrap_or(0)
    }

    /// Counts the pages of a buffer that was populated.
    pub(super) fn now_populated(&self, pages: u32) {
        self.populated.add(pages.into(), Relaxed);
    }

    /// Counts the pages of a buffer that were freed or backed up.
    pub(super) fn unpopulated(&self, pages: u32) {
        self.populated.add(-i64::from(pages), Relaxed);
    }

    /// Counts a buffer whose pages were mapped for DMA.
    pub(super) fn now_mapped(&self) {
        self.mapped.add(1, Relaxed);
    }

    /// Counts a buffer whose pages are not mapped any more.
    pub(super) fn now_unmapped(&self) {
        self.mapped.fetch_sub(1, Full);
    }

    /// Whether pages of buffers are mapped for DMA.
    pub(super) fn has_mapped(&self) -> bool {
        self.mapped.load(Acquire) > 0
    }

    /// Waits until the memory of all ghosts and deleted buffers is freed (flushes TTM's workqueue).
    /// No resv may be held.
    pub(crate) fn wait_for_delayed_deletes(&self) {
        // SAFETY: By the type invariant; TTM's work queue frees them.
        unsafe { bindings::__flush_workqueue((*self.as_raw()).wq) };
    }

    /// Waits until no work of TTM's is left, also such as other work brings about
    /// (`drain_workqueue()`). For the end, when nobody uses the device any more.
    pub(crate) fn drain_delayed_deletes(&self) {
        // SAFETY: By the type invariant; TTM's work queue frees them.
        unsafe { bindings::drain_workqueue((*self.as_raw()).wq) };
    }

    /// Unmaps the pages of all user-space mappings of buffers (`unmap_mapping_range()`). The next
    /// access faults and maps them again.
    pub(super) fn unmap_all(&self) {
        // SAFETY: By the type invariant; the address space is that of the DRM device.
        unsafe { bindings::unmap_mapping_range((*self.as_raw()).dev_mapping, 0, 0, 1) };
    }
}

#[pinned_drop]
impl PinnedDrop for BaseDevice {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant. Managers hold a reference, so they are gone.
        unsafe { bindings::ttm_device_fini(self.bdev.get()) };
    }
}
