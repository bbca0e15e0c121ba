// SPDX-License-Identifier: GPL-2.0

//! The machine's memory.
//!
//! C headers: [`include/linux/mm.h`](srctree/include/linux/mm.h),
//! [`include/linux/sched/mm.h`](srctree/include/linux/sched/mm.h)

use kernel::{
    ffi::c_uint,
    page::PAGE_SHIFT,
    types::NotThreadSafe, //
};

use crate::bindings::raw as bindings;

/// Bytes of system memory (`si_meminfo()`).
pub(crate) fn total() -> u64 {
    let mut info = bindings::sysinfo::default();

    // SAFETY: `info` is ours to be filled.
    unsafe { bindings::si_meminfo(&mut info) };

    info.totalram as u64 * u64::from(info.mem_unit)
}

/// Bytes that can be allocated without swapping (`si_mem_available()`), roughly.
pub(crate) fn available() -> u64 {
    // SAFETY: Only reads counters.
    let pages = unsafe { bindings::si_mem_available() };

    u64::try_from(pages).unwrap_or(0) << PAGE_SHIFT
}

/// A section in which allocations do not enter memory reclaim (`memalloc_noreclaim_save()`).
///
/// They may use the kernel's emergency reserves instead. So allocate very little inside.
pub(crate) struct NoReclaim(c_uint, NotThreadSafe);

impl NoReclaim {
    /// Enters it.
    pub(crate) fn begin() -> Self {
        // SAFETY: Only sets a flag of the current task, which keeps it until the guard goes.
        let flags = unsafe { bindings::memalloc_noreclaim_save() };

        Self(flags, NotThreadSafe)
    }
}

impl Drop for NoReclaim {
    fn drop(&mut self) {
        // SAFETY: Entered in `begin`, on this thread; sections are left in the opposite order.
        unsafe { bindings::memalloc_noreclaim_restore(self.0) };
    }
}
