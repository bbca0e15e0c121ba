// SPDX-License-Identifier: GPL-2.0

//! `struct drm_pddgpu_sync`: the syncobjs that work waits for, and those that it signals.

use kernel::{
    prelude::*,
    sync::aref::ARef,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

use crate::{
    abstractions::{
        dma::fence::Fence,
        drm, //
    },
    device::PddgpuFile,
    uapi, //
};

/// The syncobjs of a call.
pub(super) struct Syncs {
    waits: KVec<ARef<Fence>>,
    signals: KVec<drm::Signal>,
}

impl Syncs {
    /// Reads `count` entries at the user-space address `data`.
    ///
    /// # Errors
    ///
    /// `EINVAL` for too many entries, for unknown flags or none, and for a point that has no fence
    /// yet; `ENOENT` for an unknown syncobj; `EFAULT` for an address that cannot be read; `ENOMEM`.
    pub(super) fn new(file: &PddgpuFile, data: u64, count: u32) -> Result<Self> {
        const KNOWN: u32 = uapi::DRM_PDDGPU_SYNC_WAIT | uapi::DRM_PDDGPU_SYNC_SIGNAL;
        let mut this = Self {
            waits: KVec::new(),
            signals: KVec::new(),
        };

        if count > uapi::DRM_PDDGPU_MAX_SYNCS {
            return Err(EINVAL);
        }
        let count = count as usize;
        let length = count * size_of::<uapi::drm_pddgpu_sync>();
        let mut reader =
            UserSlice::new(UserPtr::from_addr(usize::try_from(data)?), length).reader();
        for _ in 0..count {
            let mut bytes = [0; size_of::<uapi::drm_pddgpu_sync>()];

            reader.read_slice(&mut bytes)?;
            let sync = uapi::drm_pddgpu_sync::read_from_bytes(&bytes).map_err(|_| EINVAL)?;

            if sync.flags == 0 || sync.flags & !KNOWN != 0 {
                return Err(EINVAL);
            }
            if sync.flags & uapi::DRM_PDDGPU_SYNC_WAIT != 0 {
                let fence = file.find_fence(sync.handle, sync.point)?;

                this.waits.push(fence, GFP_KERNEL)?;
            }
            if sync.flags & uapi::DRM_PDDGPU_SYNC_SIGNAL != 0 {
                let signal = file.prepare_signal(sync.handle, sync.point)?;

                this.signals.push(signal, GFP_KERNEL)?;
            }
        }
        Ok(this)
    }

    /// Takes what there is to wait for.
    pub(super) fn take_waits(&mut self) -> KVec<ARef<Fence>> {
        core::mem::take(&mut self.waits)
    }

    /// Whether there is anything to signal.
    pub(super) fn signals(&self) -> bool {
        !self.signals.is_empty()
    }

    /// Has `fence` signal what is to be signalled.
    pub(super) fn signal(self, fence: &Fence) {
        for signal in self.signals {
            signal.attach(fence);
        }
    }
}
