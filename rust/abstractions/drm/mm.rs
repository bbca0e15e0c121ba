// SPDX-License-Identifier: GPL-2.0

//! The DRM range allocator (`drm_mm`), with a spinlock.
//!
//! C header: [`include/drm/drm_mm.h`](srctree/include/drm/drm_mm.h)

use core::{
    ops::Range,
    ptr::addr_of_mut, //
};

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

use crate::{
    abstractions::drm::printer::Printer,
    bindings::raw as bindings, //
};

/// An allocator of ranges in an address space. The unit of the addresses is the caller's choice.
///
/// # Invariants
///
/// `mm` is initialised. `mm` and its nodes are only accessed under `lock`.
#[pin_data(PinnedDrop)]
pub(crate) struct Mm {
    #[pin]
    mm: Opaque<bindings::drm_mm>,
    #[pin]
    lock: SpinLock<()>,
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
                lock <- new_spinlock!(()),
            }),
            GFP_KERNEL,
        )
    }

    /// Calls `f` for each allocated range, lowest first. The spinlock is held, so `f` must not
    /// sleep.
    pub(crate) fn for_each_range(&self, mut f: impl FnMut(Range<u64>)) {
        let _guard = self.lock.lock();

        // SAFETY: By the type invariant; the list of nodes, whose head is a node too, does not
        // change while the allocator is locked.
        unsafe {
            let head = addr_of_mut!((*self.mm.get()).head_node.node_list);
            let mut link = (*head).next;

            while link != head {
                let node = kernel::container_of!(link, bindings::drm_mm_node, node_list);

                f((*node).start..(*node).start + (*node).size);
                link = (*link).next;
            }
        }
    }

    /// Prints all ranges, allocated and free (`drm_mm_print()`).
    pub(crate) fn print(&self, p: &Printer) {
        let _guard = self.lock.lock();

        // SAFETY: By the type invariant; printing does not change it.
        unsafe { bindings::drm_mm_print(self.mm.get(), p.as_raw().cast()) };
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
                    return Ok(());
                };
                let _guard = mm.lock.lock();

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
                })
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
        let _guard = self.mm.lock.lock();

        // SAFETY: By the type invariant; the allocator is locked.
        unsafe {
            if bindings::drm_mm_node_allocated(self.node.get()) {
                bindings::drm_mm_remove_node(self.node.get());
            }
        }
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../../tests/kunit/abstractions/drm/mm.rs"]
mod kunit;
