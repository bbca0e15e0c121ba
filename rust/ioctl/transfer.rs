// SPDX-License-Identifier: GPL-2.0

//! `DRM_IOCTL_PDDGPU_GEM_COPY` and `DRM_IOCTL_PDDGPU_GEM_FILL`.

use kernel::prelude::*;

use crate::{
    abstractions::drm::ioctl::Ioctl,
    bo::{
        pddgpu_bo_copy,
        pddgpu_bo_fill,
        Span, //
    },
    device::{
        PddgpuDevice,
        PddgpuDrm,
        PddgpuFile, //
    },
    ioctl::{
        padding::must_be_zero,
        sync::Syncs, //
    },
    uapi, //
};

/// `DRM_IOCTL_PDDGPU_GEM_COPY`.
pub(super) struct GemCopy;

impl Ioctl for GemCopy {
    type Driver = PddgpuDrm;
    type Argument = uapi::drm_pddgpu_gem_copy;
    const COMMAND: u32 = uapi::DRM_IOCTL_PDDGPU_GEM_COPY;

    fn call(_dev: &PddgpuDevice, args: &mut Self::Argument, file: &PddgpuFile) -> Result {
        must_be_zero(args.flags)?;
        let from = file.lookup(args.src)?;
        let to = file.lookup(args.dst)?;
        let source = Span::new(&from, args.src_offset, args.size)?;
        let destination = Span::new(&to, args.dst_offset, args.size)?;
        let mut syncs = Syncs::new(file, args.syncs, args.num_syncs)?;
        let waits = syncs.take_waits();

        syncs.signal(&*pddgpu_bo_copy(
            file,
            (&from, source),
            (&to, destination),
            waits,
        )?);
        Ok(())
    }
}

/// `DRM_IOCTL_PDDGPU_GEM_FILL`.
pub(super) struct GemFill;

impl Ioctl for GemFill {
    type Driver = PddgpuDrm;
    type Argument = uapi::drm_pddgpu_gem_fill;
    const COMMAND: u32 = uapi::DRM_IOCTL_PDDGPU_GEM_FILL;

    fn call(_dev: &PddgpuDevice, args: &mut Self::Argument, file: &PddgpuFile) -> Result {
        must_be_zero(args.pad)?;
        let to = file.lookup(args.handle)?;
        let destination = Span::new(&to, args.offset, args.size)?;
        let mut syncs = Syncs::new(file, args.syncs, args.num_syncs)?;
        let waits = syncs.take_waits();

        syncs.signal(&*pddgpu_bo_fill(
            file,
            (&to, destination),
            args.value,
            waits,
        )?);
        Ok(())
    }
}
