// SPDX-License-Identifier: GPL-2.0

//! Places: where a buffer may be placed.
//!
//! C header: [`include/drm/ttm/ttm_placement.h`](srctree/include/drm/ttm/ttm_placement.h)

use core::ops::Range;

use crate::bindings::raw as bindings;

/// A kind of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum MemType {
    /// System pages that are not mapped for the device (`TTM_PL_SYSTEM`).
    System = bindings::TTM_PL_SYSTEM,
    /// System pages that the device can address (`TTM_PL_TT`).
    Tt = bindings::TTM_PL_TT,
    /// Memory on the device (`TTM_PL_VRAM`).
    Vram = bindings::TTM_PL_VRAM,
}

impl MemType {
    pub(super) const fn as_raw(self) -> u32 {
        // CAST: The discriminants are the C values.
        self as u32
    }

    pub(super) fn from_raw(raw: u32) -> Option<Self> {
        [Self::System, Self::Tt, Self::Vram]
            .into_iter()
            .find(|mem_type| mem_type.as_raw() == raw)
    }
}

/// A place that a buffer may be in: a kind of memory, a range of it, and flags.
///
/// A list of places in order of preference is a placement.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Place(bindings::ttm_place);

impl Place {
    /// Any address in a kind of memory.
    pub(crate) const fn anywhere(mem_type: MemType) -> Self {
        Self(bindings::ttm_place {
            fpfn: 0,
            lpfn: 0,
            mem_type: mem_type.as_raw(),
            flags: 0,
        })
    }

    const fn with(mut self, flag: u32) -> Self {
        self.0.flags |= flag;
        self
    }

    /// Restricts it to the pages below `end`; 0 means no limit.
    pub(crate) const fn below(mut self, end: u64) -> Self {
        self.0.lpfn = end;
        self
    }

    /// Requires one contiguous range.
    pub(crate) const fn contiguous(self) -> Self {
        self.with(bindings::TTM_PL_FLAG_CONTIGUOUS)
    }

    /// Prefers the highest addresses.
    pub(crate) const fn topdown(self) -> Self {
        self.with(bindings::TTM_PL_FLAG_TOPDOWN)
    }

    /// Marks it as a hop: the buffer is moved on from here at once.
    pub(crate) const fn temporary(self) -> Self {
        self.with(bindings::TTM_PL_FLAG_TEMPORARY)
    }

    /// Restricts it to free memory: no buffer is evicted for it.
    pub(crate) const fn desired(self) -> Self {
        self.with(bindings::TTM_PL_FLAG_DESIRED)
    }

    /// Has it tried only after other buffers were evicted from the places before it.
    pub(crate) const fn fallback(self) -> Self {
        self.with(bindings::TTM_PL_FLAG_FALLBACK)
    }

    /// The range of pages it allows, in a memory of `size` pages.
    pub(crate) fn range(&self, size: u64) -> Range<u64> {
        let end = match self.0.lpfn {
            0 => size,
            lpfn => lpfn.min(size),
        };
        self.0.fpfn..end
    }

    /// Whether it requires one contiguous range.
    pub(crate) fn is_contiguous(&self) -> bool {
        self.0.flags & bindings::TTM_PL_FLAG_CONTIGUOUS != 0
    }

    /// Whether it prefers the highest addresses.
    pub(crate) fn is_topdown(&self) -> bool {
        self.0.flags & bindings::TTM_PL_FLAG_TOPDOWN != 0
    }

    /// Whether it is a hop.
    pub(crate) fn is_temporary(&self) -> bool {
        self.0.flags & bindings::TTM_PL_FLAG_TEMPORARY != 0
    }

    pub(super) const fn into_raw(self) -> bindings::ttm_place {
        self.0
    }

    /// # Safety
    ///
    /// `ptr` must point to a `struct ttm_place` that stays as it is for `'a`.
    pub(super) unsafe fn from_raw<'a>(ptr: *const bindings::ttm_place) -> &'a Self {
        // SAFETY: By this function's requirements; `Place` is transparent.
        unsafe { &*ptr.cast() }
    }
}

/// Converts places to the C type. The result points to `places`.
pub(super) fn placement(places: &[Place]) -> bindings::ttm_placement {
    bindings::ttm_placement {
        // CAST: A handful of places.
        num_placement: places.len() as core::ffi::c_uint,
        placement: places.as_ptr().cast(),
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../../tests/kunit/abstractions/ttm/placement.rs"]
mod kunit;
