// SPDX-License-Identifier: GPL-2.0

//! `struct drm_printer`: printing a report to a file or to the log.
//!
//! C header: [`include/drm/drm_print.h`](srctree/include/drm/drm_print.h)

use core::ptr::from_ref;

use kernel::{
    device,
    fmt,
    prelude::*,
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};

use crate::bindings::raw as bindings;

/// A `struct drm_printer`: the log or a seq file.
///
/// # Invariants
///
/// Wraps an initialised printer that only this thread uses.
#[repr(transparent)]
pub(crate) struct Printer(Opaque<bindings::drm_printer>, NotThreadSafe);

impl Printer {
    /// # Safety
    ///
    /// `ptr` must point to an initialised printer that only this thread uses during `'a`.
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut bindings::drm_printer) -> &'a Self {
        // INVARIANT: By this function's requirements.
        // SAFETY: By this function's requirements the printer is valid; `Printer` is transparent.
        unsafe { &*ptr.cast() }
    }

    /// A printer to the log. It prints only if `drm.debug` has `DRM_UT_DRIVER` set or dynamic debug
    /// enables the message.
    pub(crate) fn debug() -> Self {
        // SAFETY: Needs no device.
        let printer = unsafe {
            bindings::drm_dbg_printer(
                core::ptr::null_mut(),
                bindings::drm_debug_category_DRM_UT_DRIVER,
                core::ptr::null(),
            )
        };

        // INVARIANT: The printer is ours alone.
        Self(Opaque::new(printer), NotThreadSafe)
    }

    /// Calls `f` with a printer to the log, whose lines carry the name of `dev`.
    pub(crate) fn with_info(dev: &device::Device, f: impl FnOnce(&Self)) {
        // SAFETY: `dev` is a valid device, and outlives the printer.
        let printer = unsafe { bindings::drm_info_printer(from_ref(dev).cast_mut().cast()) };

        // INVARIANT: The printer is ours alone.
        f(&Self(Opaque::new(printer), NotThreadSafe));
    }

    /// The C printer.
    pub(crate) fn as_raw(&self) -> *mut bindings::drm_printer {
        self.0.get()
    }

    /// Used by [`drm_print!`].
    pub(crate) fn call_printf(&self, args: fmt::Arguments<'_>) {
        // SAFETY: By the type invariant; `%pA` takes a pointer to `Arguments`.
        unsafe {
            bindings::drm_printf(
                self.as_raw(),
                c"%pA".as_char_ptr(),
                core::ptr::from_ref(&args).cast::<c_void>(),
            )
        };
    }
}

/// Prints to a [`Printer`] with Rust's formatting.
macro_rules! drm_print {
    ($printer:expr, $($arg:tt)+) => (
        $printer.call_printf(::kernel::prelude::fmt!($($arg)+))
    );
}
pub(crate) use drm_print;
