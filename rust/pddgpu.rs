// SPDX-License-Identifier: GPL-2.0

//! A DRM driver for PDDGPU cards that is about one thing: GPU memory.
//!
//! The modules lie on floors. A module uses only what is on the floors below its own, which `make
//! floors` checks; from the top:
//!
//! | floor | modules | what they do |
//! |---|---|---|
//! | 9 | [`driver`] | bind a card, and let it go |
//! | 8 | [`ioctl`], [`debugfs`] | what user space sees |
//! | 7 | [`bo`] | buffers: where they may be, and how they move |
//! | 6 | [`device`] | a card as the driver keeps it |
//! | 5 | [`mgr`], [`copy_engine`] | who has which memory; memory moved and cleared by the card |
//! | 4 | [`memory_stats`] | how much, since when, at what cost, and whether it leaks |
//! | 3 | [`hw`], [`trace`] | the card's registers, address space, tables and rings; trace events |
//! | 2 | [`uapi`] | the user-space interface as types |
//! | 1 | [`abstractions`] | what the `kernel` crate lacks; all of the `unsafe` code |
//! | 0 | [`bindings`] | C interfaces as bindgen sees them |

mod abstractions;
mod bindings;
mod bo;
mod copy_engine;
mod debugfs;
mod device;
mod driver;
mod hw;
mod ioctl;
#[cfg(CONFIG_KUNIT)]
#[path = "../tests/kunit/mod.rs"]
mod kunit;
mod memory_stats;
mod mgr;
mod trace;
mod uapi;

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

impl device::ModuleRoot for device::PddgpuDrm {
    type Module = LocalModule;

    fn debug_level() -> u32 {
        module_parameters::debug_level.value()
    }
}
