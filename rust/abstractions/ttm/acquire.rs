// SPDX-License-Identifier: GPL-2.0

//! Acquire contexts, with which TTM may wait for the locks of other buffers.
//!
//! C header: [`include/linux/dma-resv.h`](srctree/include/linux/dma-resv.h)

use kernel::{
    prelude::*,
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};

use crate::bindings::raw as bindings;

/// A `struct ww_acquire_ctx` for the locks of buffers. An eviction for a buffer that is locked with
/// one waits for buffers that others have locked, where it would leave them out otherwise.
///
/// # Invariants
///
/// Wraps an initialised context, which is finished when it is dropped.
#[pin_data(PinnedDrop)]
pub(crate) struct AcquireCtx {
    #[pin]
    ctx: Opaque<bindings::ww_acquire_ctx>,
    /// It belongs to the task that made it.
    _not_send: NotThreadSafe,
}

impl AcquireCtx {
    /// A context without locks (`ww_acquire_init()`).
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            ctx <- Opaque::ffi_init(|ctx: *mut bindings::ww_acquire_ctx| {
                // SAFETY: `ctx` is memory for a context that never moves.
                unsafe { bindings::resv_acquire_init(ctx) };
            }),
            _not_send: NotThreadSafe,
        })
    }

    pub(super) fn as_raw(&self) -> *mut bindings::ww_acquire_ctx {
        self.ctx.get()
    }
}

#[pinned_drop]
impl PinnedDrop for AcquireCtx {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant. Buffers that are locked with it borrow it, so there are none
        // any more.
        unsafe { bindings::ww_acquire_fini(self.ctx.get()) };
    }
}
