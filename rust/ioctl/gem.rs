// SPDX-License-Identifier: GPL-2.0

//! `DRM_IOCTL_PDDGPU_GEM_*`: buffers.

use kernel::{
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

use crate::{
    abstractions::{
        drm::ioctl::Ioctl,
        ttm::Priority, //
    },
    bo::{
        pddgpu_bo_advise,
        pddgpu_bo_create,
        pddgpu_bo_move,
        pddgpu_bo_set_priority,
        BoPlacement, //
    },
    client::Content,
    device::{
        PddgpuDevice,
        PddgpuDrm,
        PddgpuFile, //
    },
    ioctl::{
        padding::must_be_zero,
        sync::Syncs, //
    },
    memory_stats::label::Label,
    uapi::{
        self,
        BoParam,
        CreateFlag,
        Domain, //
    }, //
};

/// `DRM_IOCTL_PDDGPU_GEM_CREATE`.
pub(super) struct GemCreate;

impl Ioctl for GemCreate {
    type Driver = PddgpuDrm;
    type Argument = uapi::drm_pddgpu_gem_create;
    const COMMAND: u32 = uapi::DRM_IOCTL_PDDGPU_GEM_CREATE;

    fn call(dev: &PddgpuDevice, args: &mut Self::Argument, file: &PddgpuFile) -> Result {
        must_be_zero(args.pad)?;
        let bp = BoParam::new(args.size, args.alignment, args.domain, args.flags)?;
        let bo = pddgpu_bo_create(dev, &bp, file)?;

        // The creation may have waited, and the card gone meanwhile.
        let _entered = dev.enter()?;
        args.handle = file.create_handle(&bo)?;
        args.size = bo.size();
        Ok(())
    }
}

/// `DRM_IOCTL_PDDGPU_GEM_MMAP`.
pub(super) struct GemMmap;

impl Ioctl for GemMmap {
    type Driver = PddgpuDrm;
    type Argument = uapi::drm_pddgpu_gem_mmap;
    const COMMAND: u32 = uapi::DRM_IOCTL_PDDGPU_GEM_MMAP;

    fn call(_dev: &PddgpuDevice, args: &mut Self::Argument, file: &PddgpuFile) -> Result {
        must_be_zero(args.pad)?;
        let bo = file.lookup(args.handle)?;

        if bo.param.flags.contains(CreateFlag::NoCpuAccess) {
            return Err(EPERM);
        }
        args.offset = bo.mmap_offset();
        Ok(())
    }
}

/// `DRM_IOCTL_PDDGPU_GEM_INFO`.
pub(super) struct GemInfo;

impl Ioctl for GemInfo {
    type Driver = PddgpuDrm;
    type Argument = uapi::drm_pddgpu_gem_info;
    const COMMAND: u32 = uapi::DRM_IOCTL_PDDGPU_GEM_INFO;

    fn call(_dev: &PddgpuDevice, args: &mut Self::Argument, file: &PddgpuFile) -> Result {
        must_be_zero(args.pad)?;
        must_be_zero(args.pad2)?;
        let bo = file.lookup(args.handle)?;
        let placement = BoPlacement::new(&*bo.reserve()?);

        args.size = bo.size();
        args.alignment = bo.alignment();
        args.domains = bo.param.domains.into();
        args.flags = bo.param.flags.into();
        args.placement = placement.domain.map_or(0, |domain| domain as u32);
        args.gpu_addr = placement
            .gpu_addr
            // CAST: bindgen reads it as -1.
            .unwrap_or(uapi::PDDGPU_GPU_ADDR_NONE as u64);
        args.visible = placement.visible;

        let preferred = bo.holders.wanted();
        args.preferred = preferred as u32;
        args.id = bo.tracking.id;
        args.state = 0;
        for (holds, bit) in [
            (
                placement.domain != Some(preferred),
                uapi::DRM_PDDGPU_STATE_DISPLACED,
            ),
            (
                bo.holders.content() == Content::Purged,
                uapi::DRM_PDDGPU_STATE_PURGED,
            ),
            (bo.is_imported(), uapi::DRM_PDDGPU_STATE_IMPORTED),
            (bo.holders.is_lost(), uapi::DRM_PDDGPU_STATE_LOST),
        ] {
            if holds {
                args.state |= bit;
            }
        }
        Ok(())
    }
}

/// `DRM_IOCTL_PDDGPU_GEM_WAIT`.
pub(super) struct GemWait;

impl Ioctl for GemWait {
    type Driver = PddgpuDrm;
    type Argument = uapi::drm_pddgpu_gem_wait;
    const COMMAND: u32 = uapi::DRM_IOCTL_PDDGPU_GEM_WAIT;

    fn call(dev: &PddgpuDevice, args: &mut Self::Argument, file: &PddgpuFile) -> Result {
        must_be_zero(args.pad)?;
        file.lookup(args.handle)?.wait_until(args.timeout_ns)?;

        // A job may have failed before this call. Its fence is gone by now.
        dev.check_engine()?;
        drop(dev.enter()?);
        Ok(())
    }
}

/// `DRM_IOCTL_PDDGPU_GEM_MOVE`.
pub(super) struct GemMove;

impl Ioctl for GemMove {
    type Driver = PddgpuDrm;
    type Argument = uapi::drm_pddgpu_gem_move;
    const COMMAND: u32 = uapi::DRM_IOCTL_PDDGPU_GEM_MOVE;

    fn call(_dev: &PddgpuDevice, args: &mut Self::Argument, file: &PddgpuFile) -> Result {
        must_be_zero(args.pad)?;
        let domain = Domain::try_from(args.domain)?;
        let bo = file.lookup(args.handle)?;
        let mut syncs = Syncs::new(file, args.syncs, args.num_syncs)?;

        for fence in syncs.take_waits() {
            fence.wait_until(i64::MAX)?;
        }
        pddgpu_bo_move(&bo, domain, file)?;
        if syncs.signals() {
            syncs.signal(&*bo.moves_fence()?);
        }
        Ok(())
    }
}

/// `DRM_IOCTL_PDDGPU_GEM_ADVISE`.
pub(super) struct GemAdvise;

impl Ioctl for GemAdvise {
    type Driver = PddgpuDrm;
    type Argument = uapi::drm_pddgpu_gem_advise;
    const COMMAND: u32 = uapi::DRM_IOCTL_PDDGPU_GEM_ADVISE;

    fn call(_dev: &PddgpuDevice, args: &mut Self::Argument, file: &PddgpuFile) -> Result {
        must_be_zero(args.pad)?;
        let needed = match args.advice {
            uapi::DRM_PDDGPU_ADVICE_WILLNEED => true,
            uapi::DRM_PDDGPU_ADVICE_DONTNEED => false,
            _ => return Err(EINVAL),
        };
        let bo = file.lookup(args.handle)?;

        args.retained = pddgpu_bo_advise(&bo, needed)?.into();
        Ok(())
    }
}

/// `DRM_IOCTL_PDDGPU_GEM_SET_PRIORITY`.
pub(super) struct GemSetPriority;

impl Ioctl for GemSetPriority {
    type Driver = PddgpuDrm;
    type Argument = uapi::drm_pddgpu_gem_set_priority;
    const COMMAND: u32 = uapi::DRM_IOCTL_PDDGPU_GEM_SET_PRIORITY;

    fn call(_dev: &PddgpuDevice, args: &mut Self::Argument, file: &PddgpuFile) -> Result {
        let priority = match args.priority {
            uapi::DRM_PDDGPU_PRIORITY_LOW => Priority::Low,
            // CAST: bindgen takes it for an unsigned number.
            priority if priority == uapi::DRM_PDDGPU_PRIORITY_NORMAL as i32 => Priority::Normal,
            priority if priority == uapi::DRM_PDDGPU_PRIORITY_HIGH as i32 => Priority::High,
            _ => return Err(EINVAL),
        };

        pddgpu_bo_set_priority(&*file.lookup(args.handle)?, priority)
    }
}

/// `DRM_IOCTL_PDDGPU_GEM_SET_LABEL`.
pub(super) struct GemSetLabel;

impl Ioctl for GemSetLabel {
    type Driver = PddgpuDrm;
    type Argument = uapi::drm_pddgpu_gem_set_label;
    const COMMAND: u32 = uapi::DRM_IOCTL_PDDGPU_GEM_SET_LABEL;

    fn call(dev: &PddgpuDevice, args: &mut Self::Argument, file: &PddgpuFile) -> Result {
        must_be_zero(args.pad)?;
        let bo = file.lookup(args.handle)?;
        let mut label = Label::default();

        if args.label != 0 {
            // With room for one byte more than there may be.
            let mut text = [0; size_of::<Label>() + 1];
            let address = UserPtr::from_addr(usize::try_from(args.label)?);
            let text = UserSlice::new(address, text.len())
                .reader()
                .strcpy_into_buf(&mut text)?;

            label = Label::new(text)?;
        }
        dev.stats.set_label(&bo.tracking, &label);
        Ok(())
    }
}
