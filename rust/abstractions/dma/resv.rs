// SPDX-License-Identifier: GPL-2.0

//! The fences of a reservation object that is not locked.
//!
//! C header: [`include/linux/dma-resv.h`](srctree/include/linux/dma-resv.h)

use kernel::{
    error::to_result,
    prelude::*, //
};

use crate::{
    abstractions::dma::fence::Fence,
    bindings::raw as bindings, //
};

/// Some fences of a resv, in an array that the C side allocated.
///
/// # Invariants
///
/// `fences` is an array of `count` references that this value owns, or `count` is 0.
pub(crate) struct Fences {
    fences: *mut *mut bindings::dma_fence,
    count: usize,
}

impl Fences {
    /// Goes through the fences.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Fence> {
        // SAFETY: By the type invariant.
        (0..self.count).map(|index| unsafe { Fence::from_raw(*self.fences.add(index)) })
    }
}

impl Drop for Fences {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. The array was allocated with `kmalloc()`, or is null.
        unsafe {
            for index in 0..self.count {
                bindings::dma_fence_put(*self.fences.add(index));
            }
            bindings::kvfree(self.fences.cast());
        }
    }
}

/// The fences of a resv with this usage, or one that is stronger, that are not signalled yet
/// (`dma_resv_get_fences()`).
///
/// # Errors
///
/// `ENOMEM`.
///
/// # Safety
///
/// `resv` must be initialised.
pub(crate) unsafe fn fences(
    resv: *mut bindings::dma_resv,
    usage: bindings::dma_resv_usage,
) -> Result<Fences> {
    let mut fences = core::ptr::null_mut();
    let mut count = 0;

    // SAFETY: By this function's requirements; the rest is ours to be filled.
    to_result(unsafe { bindings::dma_resv_get_fences(resv, usage, &mut count, &mut fences) })?;

    // INVARIANT: The function gives us the array and the references.
    Ok(Fences {
        fences,
        count: count as usize,
    })
}
