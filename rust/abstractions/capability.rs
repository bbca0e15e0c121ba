// SPDX-License-Identifier: GPL-2.0

//! What the calling task is allowed.
//!
//! C header: [`include/linux/capability.h`](srctree/include/linux/capability.h)

use crate::bindings::raw as bindings;

/// Whether the calling task may see what others do: `CAP_PERFMON` or `CAP_SYS_ADMIN`.
pub(crate) fn perfmon() -> bool {
    // SAFETY: Looks at the current task only.
    unsafe { bindings::perfmon_capable() }
}
