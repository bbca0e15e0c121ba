// SPDX-License-Identifier: GPL-2.0

//! A DRM driver for PDDGPU cards that is about one thing: GPU memory.
//!
//! The rooms, from user space down to the card:
//!
//! - [`gem`], [`query`], [`debugfs`]: what user space sees.
//! - [`bo`]: buffers, and where they may be.
//! - [`vram_mgr`], [`gtt_mgr`]: who has which memory.
//! - [`driver`], [`gmc`], [`hw`]: the card, coming up and going down.
//!
//! Beneath them are wrappers that know nothing of PDDGPU, and hold all the `unsafe`: [`drm`], [`ttm`],
//! [`buddy`], [`mm`], [`dma`] over [`bindings`].

mod bindings;
mod bo;
mod buddy;
mod debugfs;
mod dma;
mod driver;
mod drm;
mod gem;
mod gmc;
mod gtt_mgr;
mod hw;
mod mm;
mod query;
mod ttm;
mod vram_mgr;

kernel::module_pci_driver! {
    type: driver::PddgpuDriver,
    name: "pddgpu",
    authors: ["The pddgpu authors"],
    description: "DRM driver for the memory of PDDGPU cards",
    license: "GPL v2",
}
