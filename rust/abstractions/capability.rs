// SPDX-License-Identifier: GPL-2.0

//! Capabilities of the calling task.
//!
//! C header: [`include/linux/capability.h`](srctree/include/linux/capability.h)

use crate::bindings::raw as bindings;

/// Whether the calling task has `CAP_PERFMON` or `CAP_SYS_ADMIN` (`perfmon_capable()`).
pub(crate) fn perfmon() -> bool {
    // SAFETY: Looks at the current task only.
    unsafe { bindings::perfmon_capable() }
}
