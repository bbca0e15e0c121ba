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

/// A GEM object that is told of the dma-bufs made of it.
pub(crate) trait Exported: gem::Object {
    /// A dma-buf is being made of the object. If that fails in the end,
    /// [`export_dropped`](Self::export_dropped) is called.
    ///
    /// # Errors
    ///
    /// Any. Then there will be none.
    fn export_added(&self) -> Result;

    /// A dma-buf of the object is gone.
    fn export_dropped(&self);
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
        attach: Some(bindings::drm_gem_map_attach),
        detach: Some(bindings::drm_gem_map_detach),
        map_dma_buf: Some(bindings::drm_gem_map_dma_buf),
        unmap_dma_buf: Some(bindings::drm_gem_unmap_dma_buf),
        release: Some(Self::release_callback),
        mmap: Some(bindings::drm_gem_dmabuf_mmap),
        vmap: Some(bindings::drm_gem_dmabuf_vmap),
        vunmap: Some(bindings::drm_gem_dmabuf_vunmap),
        pin: None,
        unpin: None,
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

        if kernel::error::from_err_ptr(buf).is_err() {
            object.export_dropped();
        }
        buf
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
