// SPDX-License-Identifier: GPL-2.0

//! User-space mappings of buffers: `mmap()`, and what mappings do for their buffers.

use core::marker::PhantomData;

use kernel::{
    error::from_result,
    prelude::*, //
};

use crate::{
    abstractions::ttm::{
        access::access_callback,
        driver::{
            Driver,
            RefKind, //
        },
        fault::fault_callback,
        object::Object, //
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

        // SAFETY: `vma` is being set up by us alone. TTM takes a reference for the mapping.
        kernel::error::to_result(unsafe { bindings::ttm_bo_mmap_obj(vma, object.as_ttm()) })?;

        T::ref_added(object, RefKind::Mapping);

        // SAFETY: DRM meant its reference for the mapping, which has TTM's.
        unsafe { bindings::drm_gem_object_put(gem) };
        Ok(0)
    })
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
