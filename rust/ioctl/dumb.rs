// SPDX-License-Identifier: GPL-2.0

//! `DRM_IOCTL_MODE_CREATE_DUMB`: buffers for pictures that programs draw with the CPU.

use kernel::prelude::*;

use crate::{
    abstractions::drm::CreateDumb,
    bo::pddgpu_bo_create,
    device::{
        PddgpuDevice,
        PddgpuDrm,
        PddgpuFile, //
    },
    uapi::{
        BoParam,
        Domain, //
    }, //
};

impl CreateDumb for PddgpuDrm {
    /// Creates it in system memory, because the card has no display that would read it from VRAM: in
    /// GTT, where the card can reach it, if there is room.
    fn create_dumb(dev: &PddgpuDevice, file: &PddgpuFile, size: u64) -> Result<u32> {
        let domains = Domain::Gtt | Domain::Cpu;
        let bp = BoParam::new(size, 0, domains.into(), 0)?;
        let bo = pddgpu_bo_create(dev, &bp, file)?;
        let _entered = dev.enter()?;

        file.create_handle(&bo)
    }
}
