// SPDX-License-Identifier: GPL-2.0

//! Pressure stall information: how long tasks wait because memory is short.
//!
//! C header: [`include/linux/psi.h`](srctree/include/linux/psi.h)

use kernel::types::NotThreadSafe;

use crate::bindings::raw as bindings;

/// A section in which the current thread is held up because memory is short. It shows in
/// `/proc/pressure/memory` and in `memory.pressure` of its cgroup; on a kernel without `CONFIG_PSI` it
/// does nothing.
#[must_use = "the section ends when this is dropped"]
pub(crate) struct MemoryStall {
    /// Whether there is a section around this one, for the kernel.
    flags: usize,
    _not_send: NotThreadSafe,
}

impl MemoryStall {
    /// Begins a section (`psi_memstall_enter()`). Sections nest. May be called in process context, with
    /// interrupts on.
    pub(crate) fn begin() -> Self {
        let mut flags = 0;

        // SAFETY: The pointer is valid for the call. The section is ended by the same thread, as the
        // result cannot be sent to another one.
        unsafe { bindings::psi_memstall_enter(&mut flags) };
        Self {
            flags,
            _not_send: NotThreadSafe,
        }
    }
}

impl Drop for MemoryStall {
    fn drop(&mut self) {
        // SAFETY: `flags` is what `psi_memstall_enter()` has made of it in this thread. Of sections that
        // nest, the inner ones end first or have said that they are inner ones, so that their end
        // does nothing.
        unsafe { bindings::psi_memstall_leave(&mut self.flags) };
    }
}
