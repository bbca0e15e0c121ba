// SPDX-License-Identifier: GPL-2.0

//! PRIME: sharing GEM objects as dma-bufs, between clients of one device and with other devices.
//!
//! An object that one client exports and another client of the same device imports is the same object
//! in both.
//!
//! C header: [`include/drm/drm_prime.h`](srctree/include/drm/drm_prime.h)

use core::marker::PhantomData;

use kernel::{
    module::{
        this_module,
        ModuleMetadata, //
    },
    prelude::*,
    str::as_char_ptr_in_const_context, //
};

use crate::{
    abstractions::{
        dma::attachment::DmaBuf,
        drm::{
            device::Device,
            gem::{
                self,
                Object as _, //
            },
            types::Types, //
        }, //
    },
    bindings::raw as bindings, //
};

/// A GEM object of which dma-bufs are made.
///
/// A device that can be told of moves is attached dynamically, and maps the object where it is. For
/// any other the DRM core's `pin` pins it first (`struct drm_gem_object_funcs`).
pub(crate) trait Exported: gem::Object {
    /// A dma-buf is being made of the object. If that fails in the end,
    /// [`export_dropped`](Self::export_dropped) is called.
    ///
    /// # Errors
    ///
    /// Any. Then there will be none.
    fn export_added(&self) -> Result;

    /// A dma-buf of the object was made.
    fn exported(&self, buf: &DmaBuf);

    /// A dma-buf of the object is gone.
    fn export_dropped(&self);

    /// Has the object's pages be where another device can reach them, because one maps them through
    /// this dma-buf. They stay there until it is told of a move, or has unmapped them.
    ///
    /// # Errors
    ///
    /// Any. Then they are not mapped.
    ///
    /// # Safety
    ///
    /// The object's resv must be held.
    unsafe fn map_added(&self, buf: &DmaBuf) -> Result;

    /// A device has unmapped the pages.
    ///
    /// # Safety
    ///
    /// The object's resv must be held. There must have been a call of
    /// [`map_added`](Self::map_added) for it.
    unsafe fn map_dropped(&self);
}

/// A driver that makes objects of the dma-bufs of other devices.
pub(crate) trait ImportForeign: Types {
    /// Makes an object of a dma-buf.
    ///
    /// # Errors
    ///
    /// Any. `DRM_IOCTL_PRIME_FD_TO_HANDLE` fails with it.
    fn import<'a>(_dev: &'a Device<Self>, _buf: &DmaBuf) -> Result<gem::Ref<'a, Self::Object>> {
        Err(EOPNOTSUPP)
    }
}

/// Export and import of dma-bufs for a driver.
pub(crate) struct Exports<T: Types>(PhantomData<T>);

impl<T: Types<Object: Exported>> Exports<T> {
    const OPS: bindings::dma_buf_ops = bindings::dma_buf_ops {
        attach: None,
        detach: None,
        pin: Some(Self::pin_callback),
        unpin: Some(Self::unpin_callback),
        map_dma_buf: Some(Self::map_callback),
        unmap_dma_buf: Some(Self::unmap_callback),
        release: Some(Self::release_callback),
        mmap: Some(bindings::drm_gem_dmabuf_mmap),
        vmap: Some(bindings::drm_gem_dmabuf_vmap),
        vunmap: Some(bindings::drm_gem_dmabuf_vunmap),
        begin_cpu_access: None,
        end_cpu_access: None,
    };

    /// The operations, always at the same address. Import recognises the driver's dma-bufs by it.
    #[inline(never)]
    fn ops() -> &'static bindings::dma_buf_ops {
        const { &Self::OPS }
    }

    /// `export` of `struct drm_gem_object_funcs`.
    pub(crate) extern "C" fn export_callback(
        gem: *mut bindings::drm_gem_object,
        flags: c_int,
    ) -> *mut bindings::dma_buf {
        // SAFETY: The DRM core calls this with a live object of ours.
        let object = unsafe { T::Object::from_gem(gem) };
        if let Err(err) = object.export_added() {
            // CAST: An errno as a pointer, as `ERR_PTR()` makes it.
            return err.to_errno() as isize as *mut bindings::dma_buf;
        }

        // SAFETY: The DRM core calls this with a live object of ours, which the dma-buf gets a
        // reference on. The rest is static.
        let buf = unsafe {
            let mut info = bindings::dma_buf_export_info {
                exp_name: as_char_ptr_in_const_context(T::Module::NAME),
                owner: this_module::<T::Module>().as_ptr(),
                ops: Self::ops(),
                size: (*gem).size,
                flags,
                priv_: gem.cast(),
                resv: (*gem).resv,
            };

            bindings::drm_gem_dmabuf_export((*gem).dev, &mut info)
        };

        match kernel::error::from_err_ptr(buf) {
            // SAFETY: It was made just now, and nobody else knows it yet.
            Ok(buf) => object.exported(unsafe { DmaBuf::from_raw(buf) }),
            Err(_) => object.export_dropped(),
        }
        buf
    }

    /// Pins the object. Called when a device that cannot be told of moves maps it, and when another
    /// one asks for it.
    extern "C" fn pin_callback(attach: *mut bindings::dma_buf_attachment) -> c_int {
        // SAFETY: The dma-buf is one of ours, so it has an object of ours, whose functions are
        // static. Its resv is held.
        let ret = unsafe {
            let gem: *mut bindings::drm_gem_object = (*(*attach).dmabuf).priv_.cast();

            (*(*gem).funcs).pin.map_or(0, |pin| pin(gem))
        };

        // That would mean that it could never be pinned, and the dma-buf core warns of it.
        if ret == EBUSY.to_errno() {
            return EAGAIN.to_errno();
        }
        ret
    }

    extern "C" fn unpin_callback(attach: *mut bindings::dma_buf_attachment) {
        // SAFETY: As in `pin_callback`; it was pinned there.
        unsafe {
            let gem: *mut bindings::drm_gem_object = (*(*attach).dmabuf).priv_.cast();

            if let Some(unpin) = (*(*gem).funcs).unpin {
                unpin(gem);
            }
        }
    }

    extern "C" fn map_callback(
        attach: *mut bindings::dma_buf_attachment,
        direction: bindings::dma_data_direction,
    ) -> *mut bindings::sg_table {
        // SAFETY: The dma-buf core calls this with an attachment of a dma-buf of ours, which has an
        // object of ours, and with resv held.
        unsafe {
            let object = T::Object::from_gem((*(*attach).dmabuf).priv_.cast());

            if let Err(err) = object.map_added(DmaBuf::from_raw((*attach).dmabuf)) {
                // CAST: An errno as a pointer, as `ERR_PTR()` makes it.
                return err.to_errno() as isize as *mut bindings::sg_table;
            }
            let table = bindings::drm_gem_map_dma_buf(attach, direction);

            if kernel::error::from_err_ptr(table).is_err() {
                object.map_dropped();
            }
            table
        }
    }

    extern "C" fn unmap_callback(
        attach: *mut bindings::dma_buf_attachment,
        table: *mut bindings::sg_table,
        direction: bindings::dma_data_direction,
    ) {
        // SAFETY: The dma-buf core calls this with what `map_callback` returned, and with resv held.
        unsafe {
            bindings::drm_gem_unmap_dma_buf(attach, table, direction);
            T::Object::from_gem((*(*attach).dmabuf).priv_.cast()).map_dropped();
        }
    }

    extern "C" fn release_callback(buf: *mut bindings::dma_buf) {
        // SAFETY: The dma-buf is one of ours, and still has its reference on the object, which
        // `drm_gem_dmabuf_release()` gives back.
        unsafe {
            T::Object::from_gem((*buf).priv_.cast()).export_dropped();
            bindings::drm_gem_dmabuf_release(buf);
        }
    }
}

impl<T: ImportForeign<Object: Exported>> Exports<T> {
    /// `gem_prime_import` of `struct drm_driver`.
    pub(crate) extern "C" fn import_callback(
        dev: *mut bindings::drm_device,
        buf: *mut bindings::dma_buf,
    ) -> *mut bindings::drm_gem_object {
        // SAFETY: The DRM core calls this with a live device and dma-buf. One with our operations
        // has an object of ours.
        unsafe {
            if core::ptr::eq((*buf).ops.cast(), Self::ops()) {
                let gem: *mut bindings::drm_gem_object = (*buf).priv_.cast();

                if (*gem).dev == dev {
                    bindings::drm_gem_object_get(gem);
                    return gem;
                }
            }
        }
        // SAFETY: The DRM core calls this with a live device of `T` and a live dma-buf.
        let (dev, buf) = unsafe { (Device::<T>::from_raw(dev), DmaBuf::from_raw(buf)) };
        match T::import(dev, buf) {
            // The reference is the caller's.
            Ok(object) => core::mem::ManuallyDrop::new(object).as_gem(),
            // CAST: An errno as a pointer, as `ERR_PTR()` makes it.
            Err(err) => err.to_errno() as isize as *mut bindings::drm_gem_object,
        }
    }
}
