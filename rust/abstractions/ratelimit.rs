// SPDX-License-Identifier: GPL-2.0

//! Rate limits, for log lines whose number is decided by a device or by user space.
//!
//! C header: [`include/linux/ratelimit.h`](srctree/include/linux/ratelimit.h)

use kernel::{
    prelude::*,
    types::Opaque, //
};

use crate::bindings::raw as bindings;

/// Ten events in five seconds (`DEFAULT_RATELIMIT_BURST`, `DEFAULT_RATELIMIT_INTERVAL`).
///
/// # Invariants
///
/// Wraps an initialised `struct ratelimit_state`.
#[pin_data]
pub(crate) struct RateLimit {
    #[pin]
    state: Opaque<bindings::ratelimit_state>,
}

// SAFETY: A `struct ratelimit_state` has no reference to the thread that made it.
unsafe impl Send for RateLimit {}

// SAFETY: `___ratelimit()` does its own locking.
unsafe impl Sync for RateLimit {}

impl RateLimit {
    /// A limit that nothing was counted against yet.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            state <- Opaque::ffi_init(|state: *mut bindings::ratelimit_state| {
                // SAFETY: `state` is memory for a state that never moves.
                unsafe { bindings::ratelimit_default_init(state) };
            }),
        })
    }

    /// Counts an event, and returns whether it is within the limit (`___ratelimit()`). The kernel's
    /// log tells how many were not. May be called in any context. `name` is for that line.
    pub(crate) fn allows(&self, name: &CStr) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::___ratelimit(self.state.get(), name.as_char_ptr()) != 0 }
    }
}
