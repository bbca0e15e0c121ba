// SPDX-License-Identifier: GPL-2.0

//! TTM (translation table maps), the kernel's memory manager for GPU buffers.
//!
//! TTM keeps the buffers of a device in LRU lists, decides which buffers to evict when memory is
//! full, and moves them between the kinds of memory. The driver supplies the rest: it implements
//! [`Driver`] once, and [`ResourceManager`] for each kind of memory that it manages itself. The C
//! vtables are generated from these traits.
//!
//! The `dma_resv` lock of a buffer, here called *resv*, protects most of its state. That state is
//! accessible only through [`Locked`], which proves that resv is held.
//!
//! Lock order: `mmap_lock`, then resv, then the lock of the manager. A page fault holds
//! `mmap_lock`, and uses a trylock for resv.
//!
//! C headers: [`include/drm/ttm/ttm_bo.h`](srctree/include/drm/ttm/ttm_bo.h),
//! [`include/drm/ttm/ttm_device.h`](srctree/include/drm/ttm/ttm_device.h),
//! [`include/drm/ttm/ttm_resource.h`](srctree/include/drm/ttm/ttm_resource.h)

mod access;
mod acquire;
mod aperture;
mod both;
mod copy;
mod ctx;
mod device;
mod device_funcs;
mod dma_mappings;
mod dmem;
mod driver;
mod export;
mod fault;
mod fences;
mod import;
mod importers;
mod lru;
mod manager;
mod object;
mod object_funcs;
mod pages;
mod pin;
mod placement;
mod reserved;
mod resource;
mod shrinker;
mod tt;
mod types;
mod vm;

pub(crate) use self::{
    acquire::AcquireCtx,
    aperture::Aperture,
    ctx::OperationCtx,
    device::BaseDevice,
    dma_mappings::DmaMappings,
    dmem::cgroup_region,
    driver::{
        Driver,
        Move,
        Moved,
        RefKind, //
    },
    fences::Usage,
    lru::{
        for_each_buffer,
        for_each_free_buffer, //
    },
    manager::{
        BaseManager,
        Layout,
        Manager,
        Request,
        ResourceManager, //
    },
    object::{
        Object,
        Priority, //
    },
    placement::{
        MemType,
        Place, //
    },
    reserved::{
        Locked,
        Reserved, //
    },
    resource::{
        usage,
        Resource, //
    },
    shrinker::{
        free_swap,
        Shrinker, //
    },
    types::Types, //
};

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/abstractions/ttm.rs"]
mod kunit;
