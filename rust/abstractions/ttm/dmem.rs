// SPDX-License-Identifier: GPL-2.0

//! Memory on the device that is charged to dmem cgroups.
//!
//! TTM charges whoever allocates it, and evicts for a cgroup at its limit what that has itself. Whose
//! memory is protected (`dmem.min`, `dmem.low`) it knows, too. What is left for a driver is to evict
//! what a cgroup has above a limit that is lowered.
//!
//! C header: [`include/linux/cgroup_dmem.h`](srctree/include/linux/cgroup_dmem.h)

use core::marker::PhantomData;

use kernel::prelude::*;

use crate::{
    abstractions::{
        drm::{
            self,
            CgroupRegion, //
        },
        ttm::{
            driver::Driver,
            placement::MemType,
            types::DrmDevice, //
        }, //
    },
    bindings::raw as bindings, //
};

/// Makes `size` bytes of memory on a device of `T`, which is of this type, known to the dmem controller
/// of cgroups, under this name. A kernel without the controller has [`None`].
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn cgroup_region<T: Driver>(
    base: &drm::Base,
    name: &CStr,
    size: u64,
) -> Result<Option<CgroupRegion>> {
    // SAFETY: The function enters the device before it uses the data. The data goes after the unplug,
    // which waits for that, and nobody is charged before it is there.
    unsafe { base.cgroup_region(name, size, const { &Vtable::<T>::OPS }) }
}

struct Vtable<T: Driver>(PhantomData<T>);

impl<T: Driver> Vtable<T> {
    const OPS: bindings::dmem_cgroup_ops = bindings::dmem_cgroup_ops {
        reclaim: Some(Self::reclaim_callback),
    };

    /// Evicts buffers of a cgroup from VRAM whose limit is now below what it has. This may wait for
    /// whoever has a buffer locked, so an unplug may wait for that, too.
    extern "C" fn reclaim_callback(
        pool: *mut bindings::dmem_cgroup_pool_state,
        bytes: u64,
        dev: *mut c_void,
    ) -> c_int {
        // SAFETY: `dev` is the DRM device, which lasts longer than the region.
        let base = unsafe { drm::Base::from_raw(dev.cast()) };
        let Some(_entered) = base.enter() else {
            return ENODEV.to_errno();
        };
        // SAFETY: The region is that of a device of `T`.
        let dev = unsafe { DrmDevice::<T>::from_base(base) };
        let bdev = T::managers_of_pages(dev)[0].dev().as_raw();

        // SAFETY: The device is plugged in, so its managers are registered.
        unsafe {
            let man = bindings::ttm_manager_type(bdev, MemType::Vram.as_raw() as c_int);

            bindings::ttm_resource_manager_dmem_reclaim(pool, bytes, man.cast())
        }
    }
}
