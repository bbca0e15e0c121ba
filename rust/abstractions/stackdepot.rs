// SPDX-License-Identifier: GPL-2.0

//! Stack traces in the stack depot, which take four bytes each.
//!
//! Equal traces share their memory in the depot. It is never freed.
//!
//! C header: [`include/linux/stackdepot.h`](srctree/include/linux/stackdepot.h)

use kernel::{
    error::to_result,
    fmt,
    prelude::*, //
};

use crate::bindings::raw as bindings;

/// Most frames of a trace.
const FRAMES: usize = 16;

/// Initialises the stack depot (`stack_depot_init()`). Before it was called, [`Trace::save`]
/// returns empty traces. May be called several times.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn init() -> Result {
    // SAFETY: May be called any number of times, in process context.
    to_result(unsafe { bindings::stack_depot_init() })
}

/// A stack trace, or none.
#[derive(Clone, Copy, Default)]
pub(crate) struct Trace(bindings::depot_stack_handle_t);

impl Trace {
    /// Saves the present stack trace without its innermost `skip` frames.
    pub(crate) fn save(skip: u32) -> Self {
        let mut frames = [0; FRAMES];

        // SAFETY: `frames` has room for `FRAMES` entries, and its first `n` are initialised.
        Self(unsafe {
            let n = bindings::stack_trace_save(frames.as_mut_ptr(), FRAMES as c_uint, skip);

            bindings::stack_depot_save(frames.as_mut_ptr(), n, bindings::GFP_NOWAIT)
        })
    }

    /// Whether there is one.
    pub(crate) fn is_some(self) -> bool {
        self.0 != 0
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 1024];

        // SAFETY: `text` has that many bytes.
        let len = unsafe {
            bindings::stack_depot_snprint(self.0, text.as_mut_ptr().cast(), text.len(), 8)
        };
        let len = usize::try_from(len).unwrap_or(0).min(text.len() - 1);

        f.write_str(core::str::from_utf8(&text[..len]).unwrap_or(""))
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/abstractions/stackdepot.rs"]
mod kunit;
