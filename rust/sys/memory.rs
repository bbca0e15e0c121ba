// SPDX-License-Identifier: GPL-2.0

//! The machine's memory.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)

use crate::bindings::raw as bindings;

/// Bytes of memory there are (`si_meminfo()`).
pub(crate) fn total() -> u64 {
    let mut info = bindings::sysinfo::default();

    // SAFETY: `info` is ours to be filled.
    unsafe { bindings::si_meminfo(&mut info) };

    info.totalram as u64 * u64::from(info.mem_unit)
}
