// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers over TTM, the translation table maps that place and move buffer objects.
//!
//! A driver implements [`Driver`] once, and [`ResourceManager`] for each kind of memory it manages
//! itself; the C vtables are made from these traits. What TTM protects with a buffer's reservation
//! (the `dma_resv` lock, here *resv*) is reachable only through [`Locked`], the proof that it is
//! held.
//!
//! Lock order: `mmap_lock` → resv → the manager's own lock. A page fault holds `mmap_lock` and only
//! tries resv.
//!
//! C headers: [`include/drm/ttm/ttm_bo.h`](srctree/include/drm/ttm/ttm_bo.h),
//! [`include/drm/ttm/ttm_device.h`](srctree/include/drm/ttm/ttm_device.h),
//! [`include/drm/ttm/ttm_resource.h`](srctree/include/drm/ttm/ttm_resource.h)

mod access;
mod aperture;
mod copy;
mod ctx;
mod device;
mod device_funcs;
mod driver;
mod manager;
mod object;
mod object_funcs;
mod placement;
mod reserved;
mod resource;
mod shrinker;
mod tt;
mod types;
mod vm;

pub(crate) use self::{
    aperture::Aperture,
    ctx::OperationCtx,
    device::BaseDevice,
    device_funcs::DmaMappings,
    driver::{
        Driver,
        Move,
        Moved,
        RefKind, //
    },
    manager::{
        BaseManager,
        Layout,
        Manager,
        Request,
        ResourceManager, //
    },
    object::Object,
    placement::{
        MemType,
        Place, //
    },
    reserved::Locked,
    resource::{
        usage,
        Resource, //
    },
    shrinker::Shrinker,
    types::Types, //
};

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/abstractions/ttm.rs"]
mod kunit;
