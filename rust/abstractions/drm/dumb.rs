// SPDX-License-Identifier: GPL-2.0

//! Dumb buffers: pictures that programs draw with the CPU, whatever the driver.
//!
//! C headers: [`include/drm/drm_dumb_buffers.h`](srctree/include/drm/drm_dumb_buffers.h),
//! [`include/uapi/drm/drm_mode.h`](srctree/include/uapi/drm/drm_mode.h)

use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*, //
};

use crate::{
    abstractions::drm::{
        device::Device,
        file::File,
        types::Types, //
    },
    bindings::raw as bindings, //
};

/// Bytes to which a line of a picture is aligned: a line of the CPU's cache.
const PITCH_ALIGN: c_ulong = 64;

/// A driver that creates buffers for pictures.
pub(crate) trait CreateDumb: Types {
    /// Creates a buffer of `size` bytes, a multiple of the page size, for a picture that the CPU
    /// draws. It is zeroed. Returns its handle.
    ///
    /// # Errors
    ///
    /// Any. `DRM_IOCTL_MODE_CREATE_DUMB` fails with it.
    fn create_dumb(dev: &Device<Self>, file: &File<Self>, size: u64) -> Result<u32>;
}

/// `dumb_create` of `struct drm_driver`.
pub(super) extern "C" fn create_callback<T: CreateDumb>(
    file: *mut bindings::drm_file,
    dev: *mut bindings::drm_device,
    args: *mut bindings::drm_mode_create_dumb,
) -> c_int {
    from_result(|| {
        // SAFETY: The DRM core calls this with a device of `T`, an open file of it and arguments of
        // its own.
        let (dev, file, args) = unsafe {
            to_result(bindings::drm_mode_size_dumb(dev, args, PITCH_ALIGN, 0))?;
            (
                Device::<T>::from_raw(dev),
                File::<T>::from_raw(file),
                &mut *args,
            )
        };

        args.handle = T::create_dumb(dev, file, args.size)?;
        Ok(0)
    })
}
