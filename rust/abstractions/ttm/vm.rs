// SPDX-License-Identifier: GPL-2.0

//! User-space mappings of buffers: `mmap()`, and what mappings do for their buffers.

use core::marker::PhantomData;

use kernel::{
    error::from_result,
    prelude::*, //
};

use crate::{
    abstractions::{
        dma::attachment::Attachment,
        ttm::{
            access::access_callback,
            driver::{
                Driver,
                RefKind, //
            },
            fault::fault_callback,
            object::Object, //
        }, //
    },
    bindings::raw as bindings, //
};

pub(super) extern "C" fn mmap_callback<T: Driver>(
    gem: *mut bindings::drm_gem_object,
    vma: *mut bindings::vm_area_struct,
) -> c_int {
    from_result(|| {
        // SAFETY: DRM calls this with an object of ours, on which it took a reference.
        let object = unsafe { &*gem.cast::<Object<T>>() };

        T::may_mmap(object)?;

        if let Some(import) = &object.import {
            // SAFETY: As DRM calls us; the mapping becomes one of the dma-buf.
            unsafe { map_import(import, vma) }?;
            // SAFETY: DRM meant its reference for the mapping, which has the dma-buf's.
            unsafe { bindings::drm_gem_object_put(gem) };
            return Ok(0);
        }

        // SAFETY: `vma` is being set up by us alone. TTM takes a reference for the mapping.
        kernel::error::to_result(unsafe { bindings::ttm_bo_mmap_obj(vma, object.as_ttm()) })?;

        T::ref_added(object, RefKind::Mapping);

        // SAFETY: DRM meant its reference for the mapping, which has TTM's.
        unsafe { bindings::drm_gem_object_put(gem) };
        Ok(0)
    })
}

/// Maps a dma-buf of another device as its exporter does (`dma_buf_mmap()`).
///
/// # Errors
///
/// `EACCES` for a mapping that can be written of a dma-buf that cannot; those of the exporter.
///
/// # Safety
///
/// `vma` must be one that is being set up.
unsafe fn map_import(import: &Attachment, vma: *mut bindings::vm_area_struct) -> Result {
    // SAFETY: By this function's requirements.
    unsafe {
        if !import.buf().is_writable() {
            if (*vma).__bindgen_anon_2.vm_flags & bindings::VM_WRITE as bindings::vm_flags_t != 0 {
                return Err(EACCES);
            }
            bindings::vm_flags_clear(vma, bindings::VM_MAYWRITE as bindings::vm_flags_t);
        }
        // The exporter counts its own mappings.
        (*vma).vm_private_data = core::ptr::null_mut();
        kernel::error::to_result(bindings::dma_buf_mmap(import.buf().as_raw(), vma, 0))
    }
}

/// `struct vm_operations_struct` for mappings of buffers.
pub(super) struct Operations<T: Driver>(PhantomData<T>);

impl<T: Driver> Operations<T> {
    pub(super) const OPS: bindings::vm_operations_struct = bindings::vm_operations_struct {
        fault: Some(fault_callback::<T>),
        access: Some(access_callback::<T>),
        open: Some(Self::open),
        close: Some(Self::close),
        ..pin_init::zeroed()
    };

    extern "C" fn open(vma: *mut bindings::vm_area_struct) {
        // SAFETY: The mapping, a copy of another, is of a buffer of ours that is alive.
        unsafe {
            T::ref_added(Self::object(vma), RefKind::Mapping);
            bindings::ttm_bo_vm_open(vma);
        }
    }

    extern "C" fn close(vma: *mut bindings::vm_area_struct) {
        // SAFETY: The mapping still has its reference on the buffer, which TTM gives back.
        unsafe {
            T::ref_dropped(Self::object(vma), RefKind::Mapping);
            bindings::ttm_bo_vm_close(vma);
        }
    }

    /// # Safety
    ///
    /// `vma` must be a mapping with these operations that lasts for `'a`.
    unsafe fn object<'a>(vma: *mut bindings::vm_area_struct) -> &'a Object<T> {
        // SAFETY: `mmap_callback` put the buffer there, with a reference.
        unsafe { &*(*vma).vm_private_data.cast() }
    }
}
