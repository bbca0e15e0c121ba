// SPDX-License-Identifier: GPL-2.0

//! Memory cgroups: who pays for memory.
//!
//! C header: [`include/linux/memcontrol.h`](srctree/include/linux/memcontrol.h)

use kernel::{
    task::Task,
    types::NotThreadSafe, //
};

use crate::bindings::raw as bindings;

/// A reference on a memory cgroup.
///
/// # Invariants
///
/// Owns a reference on the cgroup; null on a kernel without memory cgroups.
#[derive(PartialEq, Eq)]
pub(crate) struct MemCgroup(*mut bindings::mem_cgroup);

// SAFETY: A cgroup may be used, and its reference dropped, by any thread.
unsafe impl Send for MemCgroup {}

// SAFETY: `&MemCgroup` gives access to what the kernel synchronises itself.
unsafe impl Sync for MemCgroup {}

impl MemCgroup {
    /// The cgroup of the calling process (`get_mem_cgroup_from_mm()`).
    pub(crate) fn current() -> Self {
        // INVARIANT: The function takes a reference for us.
        // SAFETY: The `mm` of the current task, null for a kernel thread, stays as long as it runs.
        Self(unsafe { bindings::get_mem_cgroup_from_mm((*Task::current_raw()).mm) })
    }

    /// Has the cgroup pay for what the calling thread allocates with `__GFP_ACCOUNT`, until the
    /// result is dropped (`set_active_memcg()`). Sections nest.
    pub(crate) fn charge(&self) -> Charging<'_> {
        Charging {
            // SAFETY: By the type invariant, and `'_` keeps the reference as long as the section.
            before: unsafe { bindings::set_active_memcg(self.0) },
            _cgroup: self,
            _not_send: NotThreadSafe,
        }
    }
}

impl Drop for MemCgroup {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::mem_cgroup_put(self.0) };
    }
}

/// A section in which a cgroup pays for allocations of the current thread.
#[must_use = "the section ends when this is dropped"]
pub(crate) struct Charging<'a> {
    before: *mut bindings::mem_cgroup,
    _cgroup: &'a MemCgroup,
    _not_send: NotThreadSafe,
}

impl Drop for Charging<'_> {
    fn drop(&mut self) {
        // SAFETY: The cgroup that paid before is kept by the section around this one.
        unsafe { bindings::set_active_memcg(self.before) };
    }
}
