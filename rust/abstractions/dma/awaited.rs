// SPDX-License-Identifier: GPL-2.0

//! Fences of others that work waits for without a thread that sleeps.
//!
//! C header: [`include/linux/dma-fence.h`](srctree/include/linux/dma-fence.h)

use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
    types::Opaque, //
};

use crate::{
    abstractions::dma::fence::{
        Context,
        Fence,
        Timeline, //
    },
    bindings::raw as bindings, //
};

/// A fence that work of a [`Context`] waits for. When it is signalled,
/// [`Timeline::awaited_signalled`] is called, if [`is_pending`](Awaited::is_pending) has said before
/// that it was not.
///
/// # Invariants
///
/// `callback` is in the list of `fence`, or was, if `watched` is set.
#[pin_data(PinnedDrop)]
pub(crate) struct Awaited<T: Timeline> {
    #[pin]
    callback: Opaque<bindings::dma_fence_cb>,
    fence: ARef<Fence>,
    watched: Atomic<bool>,
    context: Arc<Context<T>>,
}

// SAFETY: The callback belongs to no thread.
unsafe impl<T: Timeline> Send for Awaited<T> {}

// SAFETY: The list of callbacks is protected by the fence's lock.
unsafe impl<T: Timeline> Sync for Awaited<T> {}

impl<T: Timeline> Awaited<T> {
    /// Makes it of a fence.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(fence: ARef<Fence>, context: Arc<Context<T>>) -> Result<Pin<KBox<Self>>> {
        // INVARIANT: It is not watched yet.
        let init = pin_init!(Self {
            callback: Opaque::zeroed(),
            fence,
            watched: Atomic::new(false),
            context,
        });

        KBox::pin_init(init, GFP_KERNEL_ACCOUNT)
    }

    /// Whether the fence is not signalled yet. Then the [`Timeline`] is told when it is.
    pub(crate) fn is_pending(&self) -> bool {
        if self.fence.status().is_some() {
            return false;
        }
        if self.watched.xchg(true, Relaxed) {
            return true;
        }

        // INVARIANT: It is watched from here on.
        // SAFETY: The callback does not move, and `drop` removes it. Only the first caller gets here.
        let result = unsafe {
            bindings::dma_fence_add_callback(
                self.fence.as_raw(),
                self.callback.get(),
                Some(Self::signalled_callback),
            )
        };

        // If it fails, the fence is signalled by now, and nobody calls back.
        result == 0
    }

    extern "C" fn signalled_callback(
        _fence: *mut bindings::dma_fence,
        callback: *mut bindings::dma_fence_cb,
    ) {
        // SAFETY: The kernel calls this with a callback of ours that was not removed, under the
        // fence's lock, which removing it needs.
        let this = unsafe { &*kernel::container_of!(Opaque::cast_from(callback), Self, callback) };

        this.context.timeline().awaited_signalled();
    }
}

#[pinned_drop]
impl<T: Timeline> PinnedDrop for Awaited<T> {
    fn drop(self: Pin<&mut Self>) {
        if self.watched.load(Relaxed) {
            // SAFETY: By the type invariant. A callback that is in no list any more is left alone.
            unsafe {
                bindings::dma_fence_remove_callback(self.fence.as_raw(), self.callback.get())
            };
        }
    }
}
