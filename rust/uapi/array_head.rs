// SPDX-License-Identifier: GPL-2.0

//! Answers that end with an array.

use core::mem::offset_of;

use kernel::prelude::*;
use zerocopy_derive::Immutable;

use crate::bindings::uapi;

/// What comes before the array: `struct drm_pddgpu_query_heaps`, `struct drm_pddgpu_query_leaks`,
/// `struct drm_pddgpu_query_budget` and `struct drm_pddgpu_query_owners` without it.
#[derive(Immutable, IntoBytes)]
#[repr(C)]
pub(crate) struct ArrayHead {
    count: u32,
    entry_size: u32,
}

const _: () = {
    use uapi::{
        drm_pddgpu_query_budget as Budgets,
        drm_pddgpu_query_heaps as Heaps,
        drm_pddgpu_query_leaks as Leaks,
        drm_pddgpu_query_owners as Owners, //
    };

    assert!(offset_of!(Heaps, num_heaps) == offset_of!(ArrayHead, count));
    assert!(offset_of!(Heaps, heap_size) == offset_of!(ArrayHead, entry_size));
    assert!(offset_of!(Heaps, heaps) == size_of::<ArrayHead>());
    assert!(offset_of!(Budgets, num_heaps) == offset_of!(ArrayHead, count));
    assert!(offset_of!(Budgets, heap_size) == offset_of!(ArrayHead, entry_size));
    assert!(offset_of!(Budgets, heaps) == size_of::<ArrayHead>());
    assert!(offset_of!(Leaks, num_leaks) == offset_of!(ArrayHead, count));
    assert!(offset_of!(Leaks, leak_size) == offset_of!(ArrayHead, entry_size));
    assert!(offset_of!(Leaks, leaks) == size_of::<ArrayHead>());
    assert!(offset_of!(Owners, num_owners) == offset_of!(ArrayHead, count));
    assert!(offset_of!(Owners, owner_size) == offset_of!(ArrayHead, entry_size));
    assert!(offset_of!(Owners, owners) == size_of::<ArrayHead>());
};

impl ArrayHead {
    /// The head of an array of `count` entries of type `T`.
    ///
    /// # Errors
    ///
    /// `EINVAL` for 2^32 entries and more.
    pub(crate) fn new<T>(count: usize) -> Result<Self> {
        Ok(Self {
            count: u32::try_from(count)?,
            entry_size: u32::try_from(size_of::<T>())?,
        })
    }
}
