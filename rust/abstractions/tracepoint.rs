// SPDX-License-Identifier: GPL-2.0

//! Tracepoints that a module defines in its own C code.
//!
//! [`declare_trace!`](kernel::tracepoint::declare_trace) supports only the tracepoints of the
//! kernel's `bindings` crate.
//!
//! C header: [`include/linux/tracepoint.h`](srctree/include/linux/tracepoint.h)

use core::ptr::from_ref;

use kernel::{
    device,
    ffi::c_char, //
};

use crate::bindings::raw as bindings;

/// A type that can be passed to a tracepoint.
pub(crate) trait Argument {
    /// The C type.
    type Raw;

    /// The C value. If it is a pointer, it is valid while `self` is borrowed.
    fn into_raw(self) -> Self::Raw;
}

macro_rules! plain_arguments {
    ($($ty:ty),*) => {$(
        impl Argument for $ty {
            type Raw = Self;

            #[inline(always)]
            fn into_raw(self) -> Self {
                self
            }
        }
    )*};
}
plain_arguments!(bool, i32, u32, u64);

impl Argument for &device::Device {
    type Raw = *const bindings::device;

    #[inline(always)]
    fn into_raw(self) -> Self::Raw {
        // CAST: `Device` is transparent over a `struct device`.
        from_ref(self).cast()
    }
}

impl<const N: usize> Argument for &[c_char; N] {
    type Raw = *const [c_char; N];

    #[inline(always)]
    fn into_raw(self) -> Self::Raw {
        self
    }
}

/// Defines functions that call tracepoints: `fn name(arguments) = tracepoint;`. While the
/// tracepoint is disabled, a call is a single no-op instruction (a static branch).
///
/// [`bindings::raw`](crate::bindings::raw) must have the tracepoint and the functions that
/// `CREATE_RUST_TRACE_POINTS` generates for it. The tracepoint must accept any value of its
/// argument types, may dereference its pointers only during the call, and must not keep them. The
/// compiler checks that the types match those of C.
macro_rules! tracepoints {
    ($(
        $(#[$attr:meta])*
        $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) = $tracepoint:ident;
    )*) => {$(
        $(#[$attr])*
        #[inline(always)]
        $vis fn $name($($arg: $ty),*) {
            use $crate::abstractions::tracepoint::Argument;

            #[cfg(CONFIG_TRACEPOINTS)]
            ::kernel::macros::paste! {
                use $crate::bindings::raw;

                // SAFETY: C defines the tracepoint, and with it the key.
                let listening = unsafe {
                    ::kernel::jump_label::static_branch_unlikely!(
                        raw::[<__tracepoint_ $tracepoint>],
                        raw::tracepoint,
                        key
                    )
                };

                if listening {
                    // SAFETY: The tracepoint takes any value, and keeps no pointer beyond the call,
                    // during which the arguments are borrowed.
                    unsafe { raw::[<rust_do_trace_ $tracepoint>]($(Argument::into_raw($arg)),*) };
                }
            }

            #[cfg(not(CONFIG_TRACEPOINTS))]
            {
                $(let _ = Argument::into_raw($arg);)*
            }
        }
    )*};
}
pub(crate) use tracepoints;
