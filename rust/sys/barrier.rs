// SPDX-License-Identifier: GPL-2.0

//! Memory barriers for devices.
//!
//! C header: [`include/asm-generic/barrier.h`](srctree/include/asm-generic/barrier.h)

use crate::bindings::raw as bindings;

/// Has all writes before, write-combined ones too, reach the device before those after it.
pub(crate) fn wmb() {
    // SAFETY: May be called anywhere.
    unsafe { bindings::wmb() };
}
