// SPDX-License-Identifier: GPL-2.0

//! DRM devices, files, ioctls, dma-bufs and debugfs.
//!
//! `kernel::drm` is compiled only where DRM is built into the kernel, and it does not allow GEM
//! objects that are embedded in a TTM buffer object. This abstraction also works with a modular
//! `drm.ko`, and lets the driver choose its GEM object: a driver names its types in [`Driver`], and
//! the C vtables are generated from that.
//!
//! C headers: [`include/drm/drm_drv.h`](srctree/include/drm/drm_drv.h),
//! [`include/drm/drm_gem.h`](srctree/include/drm/drm_gem.h)

pub(crate) mod debugfs;
mod device;
mod driver;
mod dumb;
mod event;
mod fdinfo;
mod file;
mod files;
pub(crate) mod gem;
pub(crate) mod ioctl;
pub(crate) mod mm;
pub(crate) mod prime;
mod printer;
mod syncobj;
mod types;

pub(crate) use self::{
    device::{
        Base,
        CgroupRegion,
        Device,
        Entered, //
    },
    driver::{
        Driver,
        DriverInfo,
        Registration, //
    },
    dumb::CreateDumb,
    event::EventSink,
    fdinfo::{
        MemoryStats,
        ShowFdinfo, //
    },
    file::{
        Client,
        File, //
    },
    printer::{
        drm_print,
        Printer, //
    },
    syncobj::Signal,
    types::Types, //
};
