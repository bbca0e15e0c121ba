// SPDX-License-Identifier: GPL-2.0

//! Which mappings other devices have of a buffer.

use core::{
    cell::UnsafeCell,
    ptr::null_mut, //
};

use crate::bindings::raw as bindings;

/// Which mappings other devices have of a buffer.
///
/// # Invariants
///
/// `buf` is the dma-buf of the buffer as long as there are `mappings`. There is never more than one
/// that others can be attached to: the DRM core makes another one only when the first is gone.
pub(super) struct Importers {
    pub(super) buf: *mut bindings::dma_buf,
    pub(super) mappings: usize,
}

impl Importers {
    /// For a buffer that nobody has mapped.
    pub(super) const fn new() -> UnsafeCell<Self> {
        UnsafeCell::new(Self {
            buf: null_mut(),
            mappings: 0,
        })
    }
}
