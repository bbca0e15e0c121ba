// SPDX-License-Identifier: GPL-2.0

//! `DRM_IOCTL_PDDGPU_RESERVE`: VRAM that a client does not lose.

use kernel::prelude::*;

use crate::{
    abstractions::drm::ioctl::Ioctl,
    device::{
        PddgpuDevice,
        PddgpuDrm,
        PddgpuFile, //
    },
    ioctl::padding::must_be_zero,
    uapi::{
        self,
        Domain, //
    }, //
};

/// `DRM_IOCTL_PDDGPU_RESERVE`.
pub(super) struct Reserve;

impl Ioctl for Reserve {
    type Driver = PddgpuDrm;
    type Argument = uapi::drm_pddgpu_reserve;
    const COMMAND: u32 = uapi::DRM_IOCTL_PDDGPU_RESERVE;

    fn call(dev: &PddgpuDevice, args: &mut Self::Argument, file: &PddgpuFile) -> Result {
        must_be_zero(args.pad)?;
        if Domain::try_from(args.domain)? != Domain::Vram {
            return Err(EINVAL);
        }
        dev.budgets
            .reserve(&file.data().client, args.size, dev.vram.usable_now())
    }
}
