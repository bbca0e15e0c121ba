// SPDX-License-Identifier: GPL-2.0

//! A DRM driver for PDDGPU cards that is about one thing: GPU memory.
//!
//! The rooms, from user space down to the card:
//!
//! - [`gem`], [`query`], [`debugfs`]: what user space sees.
//! - [`bo`]: buffers, and where they may be.
//! - [`vram_mgr`], [`gtt_mgr`], [`sys_mgr`]: who has which memory.
//! - [`memory_stats`]: how much, since when, at what cost, and whether it leaks.
//! - [`engine`], [`gart`]: memory moved and cleared by the card.
//! - [`driver`], [`gmc`], [`hw`]: the card, coming up and going down.
//!
//! Beneath them are wrappers that know nothing of PDDGPU, and hold all the `unsafe`: [`drm`], [`ttm`],
//! [`buddy`], [`mm`], [`dma`], [`sys`] over [`bindings`].

mod bindings;
mod bo;
mod buddy;
mod debugfs;
mod dma;
mod driver;
mod drm;
mod engine;
mod gart;
mod gem;
mod gmc;
mod gtt_mgr;
mod hw;
#[cfg(CONFIG_KUNIT)]
#[path = "../tests/kunit/mod.rs"]
mod kunit;
mod memory_stats;
mod mm;
mod query;
mod sys;
mod sys_mgr;
mod trace;
mod ttm;
mod vram_mgr;

kernel::module_pci_driver! {
    type: driver::PddgpuDriver,
    name: "pddgpu",
    authors: ["The pddgpu authors"],
    description: "DRM driver for the memory of PDDGPU cards",
    license: "GPL v2",
    params: {
        debug_level: u32 {
            default: 0,
            description: "Memory statistics in the log: 0 none, 1 for drm.debug when a leak check finds something, 2 at each check",
        },
    },
}
