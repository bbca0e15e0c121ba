// SPDX-License-Identifier: GPL-2.0

//! A DRM driver for the memory of PDDGPU cards.
//!
//! The driver manages GPU memory and nothing else: it has no rendering and no display. TTM decides
//! where buffers live. This driver supplies the resource managers, the moves, the user-space
//! interface, and statistics about all of it. `docs/architecture.md` is the overview.
//!
//! The modules lie on floors. A module imports only from the floors below its own, which `make
//! floors` checks. From the top:
//!
//! | floor | modules | what they do |
//! |---|---|---|
//! | 9 | [`driver`] | probe and unbind |
//! | 8 | [`ioctl`], [`debugfs`], [`fdinfo`], [`mod@sysfs`] | the interfaces to user space |
//! | 7 | [`bo`] | buffers: where they may be placed, and how they are moved |
//! | 6 | [`device`] | the data of a card and of an open file |
//! | 5 | [`mgr`], [`copy_engine`] | the resource managers; copies and clears by the card |
//! | 4 | [`memory_stats`], [`client`] | usage, durations and leak detection; what each client has |
//! | 3 | [`hw`], [`trace`] | registers, address space, GART and rings of the card; trace events |
//! | 2 | [`uapi`] | the types of the user-space header |
//! | 1 | [`abstractions`] | abstractions that the `kernel` crate lacks; all of the `unsafe` code |
//! | 0 | [`bindings`] | C interfaces, as bindgen generates them |

mod abstractions;
mod bindings;
mod bo;
mod client;
mod copy_engine;
mod debugfs;
mod device;
mod driver;
mod fdinfo;
mod hw;
mod ioctl;
#[cfg(CONFIG_KUNIT)]
#[path = "../tests/kunit/mod.rs"]
mod kunit;
mod memory_stats;
mod mgr;
mod owners;
mod sysfs;
mod trace;
mod uapi;

use kernel::{
    driver::Registration,
    module::ModuleMetadata,
    prelude::*,
    InPlaceModule, //
};

use crate::{
    abstractions::pci::Adapter,
    device::ModuleRoot, //
};

/// The highest `debug_level` that means something.
const MAX_DEBUG_LEVEL: u32 = 2;

/// The module: the registration of its driver.
#[pin_data]
struct PddgpuModule {
    #[pin]
    _driver: Registration<Adapter<driver::PddgpuDriver>>,
}

impl InPlaceModule for PddgpuModule {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(move || {
            let level = device::PddgpuDrm::debug_level();

            if level > MAX_DEBUG_LEVEL {
                pr_err!(
                    "debug_level={}: there are 0 to {}\n",
                    level,
                    MAX_DEBUG_LEVEL
                );
                return Err(EINVAL);
            }
            Ok(try_pin_init!(Self {
                _driver <- Registration::new(<LocalModule as ModuleMetadata>::NAME, module),
            }))
        })
    }
}

module! {
    type: PddgpuModule,
    name: "pddgpu",
    authors: ["The pddgpu authors"],
    description: "DRM driver for the memory of PDDGPU cards",
    license: "GPL v2",
    params: {
        debug_level: u32 {
            default: 0,
            description: "Log statistics: 0 never, 1 at leaks (drm.debug), 2 at each leak check",
        },
    },
}

impl device::ModuleRoot for device::PddgpuDrm {
    type Module = LocalModule;

    fn debug_level() -> u32 {
        module_parameters::debug_level.value()
    }
}
