// SPDX-License-Identifier: GPL-2.0

//! The DRM range allocator (`drm_mm`), with a spinlock.
//!
//! C header: [`include/drm/drm_mm.h`](srctree/include/drm/drm_mm.h)

use core::ops::Range;

use kernel::{
    error::to_result,
    new_spinlock,
    prelude::*,
    sync::{
        Arc,
        SpinLock, //
    },
    types::Opaque, //
};

use crate::bindings::raw as bindings;

/// What is allocated of an [`Mm`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// The number of ranges.
    pub(crate) ranges: u64,
    /// The sum of their sizes.
    pub(crate) size: u64,
}

/// An allocator of ranges in an address space. The unit of the addresses is the caller's choice.
///
/// # Invariants
///
/// `mm` is initialised. `mm` and its nodes are only accessed under the lock of `usage`, which is
/// what is allocated.
#[pin_data(PinnedDrop)]
pub(crate) struct Mm {
    #[pin]
    mm: Opaque<bindings::drm_mm>,
    #[pin]
    usage: SpinLock<Usage>,
}

// SAFETY: A `struct drm_mm` has no reference to the thread that made it.
unsafe impl Send for Mm {}

// SAFETY: By the type invariant it is used under its lock only.
unsafe impl Sync for Mm {}

impl Mm {
    /// An allocator of the addresses in `range` (`drm_mm_init()`).
    ///
    /// # Errors
    ///
    /// `EINVAL` for an empty range, `ENOMEM`.
    pub(crate) fn new(range: Range<u64>) -> Result<Arc<Self>> {
        if range.is_empty() {
            return Err(EINVAL);
        }

        Arc::pin_init(
            pin_init!(Self {
                mm <- Opaque::ffi_init(|mm: *mut bindings::drm_mm| {
                    // SAFETY: `mm` is memory for an allocator that never moves; DRM wants part of
                    // it zeroed.
                    unsafe {
                        mm.write_bytes(0, 1);
                        bindings::drm_mm_init(mm, range.start, range.end - range.start);
                    }
                }),
                usage <- new_spinlock!(Usage::default()),
            }),
            GFP_KERNEL,
        )
    }

    /// What is allocated.
    pub(crate) fn usage(&self) -> Usage {
        *self.usage.lock()
    }

    /// The lowest allocated range that does not end before `from`, or at it. It is found in
    /// logarithmic time, so the ranges can be walked without a lock that lasts.
    pub(crate) fn next_range(&self, from: u64) -> Option<Range<u64>> {
        let _guard = self.usage.lock();

        // SAFETY: By the type invariant; the allocator is locked. Without a range that ends after
        // `from` it returns its head, which is no allocated node.
        unsafe {
            let node = bindings::__drm_mm_interval_first(self.mm.get(), from, u64::MAX);

            bindings::drm_mm_node_allocated(node)
                .then(|| (*node).start..(*node).start + (*node).size)
        }
    }
}

#[pinned_drop]
impl PinnedDrop for Mm {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant. Nodes hold a reference, so they are gone.
        unsafe { bindings::drm_mm_takedown(self.mm.get()) };
    }
}

/// The request for a [`Node`]. It is allocated from the smallest hole that is large enough.
pub(crate) struct Fit {
    /// Size.
    pub(crate) size: u64,
    /// Alignment of the first address.
    pub(crate) alignment: u64,
    /// Addresses that the node must be inside of.
    pub(crate) range: Range<u64>,
}

/// A range of an [`Mm`], or no range. Dropping it frees the range.
///
/// # Invariants
///
/// `node` is zeroed or in `mm`.
#[pin_data(PinnedDrop)]
pub(crate) struct Node {
    #[pin]
    node: Opaque<bindings::drm_mm_node>,
    mm: Arc<Mm>,
}

// SAFETY: A node belongs to no thread.
unsafe impl Send for Node {}

// SAFETY: `&Node` reads only what is constant while it is in the allocator.
unsafe impl Sync for Node {}

impl Node {
    /// Allocates a range as `fit` requests it (`drm_mm_insert_node_in_range()`), or makes a node
    /// without a range.
    ///
    /// # Errors
    ///
    /// `ENOSPC`.
    pub(crate) fn new(mm: Arc<Mm>, fit: Option<Fit>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            node <- Opaque::try_ffi_init(|node: *mut bindings::drm_mm_node| {
                // SAFETY: `node` is memory for a node that does not move.
                unsafe { node.write_bytes(0, 1) };

                let Some(fit) = fit else {
                    return Ok::<(), Error>(());
                };
                let mut usage = mm.usage.lock();

                // SAFETY: The allocator is initialised and locked, and the node zeroed.
                to_result(unsafe {
                    bindings::drm_mm_insert_node_in_range(
                        mm.mm.get(),
                        node,
                        fit.size,
                        fit.alignment,
                        0,
                        fit.range.start,
                        fit.range.end,
                        bindings::drm_mm_insert_mode_DRM_MM_INSERT_BEST,
                    )
                })?;
                usage.ranges += 1;
                usage.size += fit.size;
                Ok(())
            }),
            mm,
        }? Error)
    }

    /// The allocated range, if it has one.
    pub(crate) fn range(&self) -> Option<Range<u64>> {
        let node = self.node.get();

        // SAFETY: By the type invariant; whether and where it is in the allocator is constant until
        // it is dropped.
        unsafe {
            bindings::drm_mm_node_allocated(node)
                .then(|| (*node).start..(*node).start + (*node).size)
        }
    }
}

#[pinned_drop]
impl PinnedDrop for Node {
    fn drop(self: Pin<&mut Self>) {
        let mut usage = self.mm.usage.lock();

        // SAFETY: By the type invariant; the allocator is locked.
        unsafe {
            if bindings::drm_mm_node_allocated(self.node.get()) {
                usage.ranges -= 1;
                usage.size -= (*self.node.get()).size;
                bindings::drm_mm_remove_node(self.node.get());
            }
        }
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../../tests/kunit/abstractions/drm/mm.rs"]
mod kunit;
