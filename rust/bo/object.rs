// SPDX-License-Identifier: GPL-2.0

//! The buffer, what the driver keeps with it, and where it is.

use core::ops::Range;

use kernel::{
    page::PAGE_SHIFT,
    prelude::*,
    sync::{
        atomic::Atomic,
        Arc, //
    }, //
};

use crate::{
    abstractions::{
        drm,
        ttm::{
            self,
            Locked,
            Object,
            Resource, //
        }, //
    },
    bo::residency::Residency,
    client::{
        Booked,
        Holders, //
    },
    copy_engine::Ranges,
    device::{
        FileData,
        ModuleRoot,
        Pddgpu,
        PddgpuDrm, //
    },
    memory_stats::{
        leak::Tracking,
        FreeStart, //
    },
    uapi::{
        BoParam,
        Domain, //
    }, //
};

/// What this driver keeps with each buffer.
#[pin_data]
pub(crate) struct BoData {
    /// The checked arguments of the creation.
    pub(crate) param: BoParam,
    /// The clients that have it.
    pub(crate) holders: Arc<Holders>,
    /// The buffer's entry in the leak detector.
    #[pin]
    pub(crate) tracking: Tracking,
    /// Whether the creation succeeded. Only then is the free counted.
    pub(super) created: Atomic<bool>,
    pub(super) free_start: FreeStart,
    pub(super) residency: Residency,
    /// A [`Priority`](ttm::Priority), for as long as its content is needed.
    pub(super) priority: Atomic<u32>,
}

/// A buffer.
pub(crate) type Bo = Object<BoDriver>;

/// This driver's implementation of [`ttm::Driver`].
pub(crate) struct BoDriver;

impl ttm::Types for BoDriver {
    type Drm = PddgpuDrm;
    type Object = BoData;
}

// Here rather than with the device, which does not know about buffers.
impl drm::Types for PddgpuDrm {
    type Module = <Self as ModuleRoot>::Module;
    type Data = Pddgpu;
    type File = FileData;
    type Object = Bo;
}

/// Where a buffer is.
pub(crate) struct BoPlacement {
    /// The domain; [`None`] for a buffer without memory.
    pub(crate) domain: Option<Domain>,
    /// GPU address of the first byte, if the buffer is one range of GPU addresses.
    pub(crate) gpu_addr: Option<u64>,
    /// Bytes of the buffer that the CPU can access where they are now.
    pub(crate) visible: u64,
}

/// The entry of a resource in the books.
pub(super) fn booked<'a>(pdev: &'a Pddgpu, res: &'a Resource) -> Option<&'a Booked> {
    let vram = pdev.vram.get(res).map(|res| &res.booked);
    let gtt = || pdev.gtt.get(res).map(|res| &res.booked);
    let system = || pdev.system.get(res).map(|res| &res.booked);

    vram.or_else(gtt).or_else(system)
}

/// The domain a buffer is in, and the bytes of it that the CPU can reach.
pub(super) fn domain_and_visible(bo: &Locked<'_, BoDriver>) -> (Option<Domain>, u64) {
    let res = bo.resource();
    let visible = match res.and_then(|res| bo.dev().vram.get(res)) {
        Some(vram) => vram.visible(),
        None => bo.object().size(),
    };

    (res.and_then(Domain::from_resource), visible)
}

impl BoPlacement {
    /// Where `bo` is now.
    pub(crate) fn new(bo: &Locked<'_, BoDriver>) -> Self {
        let pdev = bo.dev();
        let (domain, visible) = domain_and_visible(bo);
        let window = match domain {
            Some(Domain::Vram) => Some(pdev.gmc.vram.start),
            Some(Domain::Gtt) => Some(pdev.gmc.gtt.start),
            Some(Domain::Cpu) | None => None,
        };

        Self {
            domain,
            gpu_addr: window
                .zip(bo.resource().and_then(Resource::start))
                .map(|(window, page)| window + (page << PAGE_SHIFT)),
            visible,
        }
    }
}

/// The GPU addresses of VRAM.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn vram_addresses(
    pdev: &Pddgpu,
    ranges: impl Iterator<Item = Range<u64>>,
) -> Result<Ranges> {
    let base = pdev.gmc.vram.start;

    Ranges::new(ranges.map(|range| base + range.start..base + range.end))
}
