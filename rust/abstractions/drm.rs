// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers over the DRM core for drivers that bring their own memory management.
//!
//! `kernel::drm` exists only where DRM is built into the kernel, and it is closed to GEM objects
//! that live in a TTM buffer object. These wrappers link against a modular `drm.ko` and are open: a
//! driver names its types in [`Driver`], and the C vtables are made from that.
//!
//! C headers: [`include/drm/drm_drv.h`](srctree/include/drm/drm_drv.h),
//! [`include/drm/drm_gem.h`](srctree/include/drm/drm_gem.h)

pub(crate) mod debugfs;
mod device;
mod driver;
mod file;
pub(crate) mod gem;
pub(crate) mod ioctl;
pub(crate) mod mm;
pub(crate) mod prime;
mod printer;
mod types;

pub(crate) use self::{
    device::{
        Base,
        Device,
        Entered, //
    },
    driver::{
        Driver,
        DriverInfo,
        Registration, //
    },
    file::File,
    printer::{
        drm_print,
        Printer, //
    },
    types::Types, //
};
