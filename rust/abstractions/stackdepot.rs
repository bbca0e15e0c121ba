// SPDX-License-Identifier: GPL-2.0

//! Stack traces that cost four bytes each.
//!
//! C header: [`include/linux/stackdepot.h`](srctree/include/linux/stackdepot.h)

use kernel::{
    error::to_result,
    fmt,
    prelude::*, //
};

use crate::bindings::raw as bindings;

/// Frames kept of a trace, at most.
const FRAMES: usize = 16;

/// Makes traces possible: until it was called once, [`Trace::save`] saves none
/// (`stack_depot_init()`).
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn init() -> Result {
    // SAFETY: May be called any number of times, in process context.
    to_result(unsafe { bindings::stack_depot_init() })
}

/// The calls that led somewhere; equal ones share their memory, which is never freed.
#[derive(Clone, Copy, Default)]
pub(crate) struct Trace(bindings::depot_stack_handle_t);

impl Trace {
    /// The calls that led here, but for `skip` of them.
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
