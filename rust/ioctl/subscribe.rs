// SPDX-License-Identifier: GPL-2.0

//! `DRM_IOCTL_PDDGPU_SUBSCRIBE`: events about the client's memory.

use kernel::prelude::*;

use crate::{
    abstractions::drm::ioctl::Ioctl,
    device::{
        PddgpuDevice,
        PddgpuDrm,
        PddgpuFile, //
    },
    ioctl::padding::must_be_zero,
    uapi, //
};

/// `DRM_IOCTL_PDDGPU_SUBSCRIBE`.
pub(super) struct Subscribe;

impl Ioctl for Subscribe {
    type Driver = PddgpuDrm;
    type Argument = uapi::drm_pddgpu_subscribe;
    const COMMAND: u32 = uapi::DRM_IOCTL_PDDGPU_SUBSCRIBE;

    fn call(dev: &PddgpuDevice, args: &mut Self::Argument, file: &PddgpuFile) -> Result {
        must_be_zero(args.pad)?;
        let client = &file.data().client;
        let budget = dev.budgets.budget(client, dev.vram.usable_now()).budget;

        dev.open_events(file);
        client.events.subscribe(args.mask, args.threshold, budget)?;
        // It looks at the budgets.
        dev.returning.schedule();
        Ok(())
    }
}
