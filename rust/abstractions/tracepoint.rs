// SPDX-License-Identifier: GPL-2.0

//! Tracepoints that a module defines in C for itself.
//!
//! [`declare_trace!`](kernel::tracepoint::declare_trace) knows those of the `bindings` crate only.
//!
//! C header: [`include/linux/tracepoint.h`](srctree/include/linux/tracepoint.h)

use core::ptr::from_ref;

use kernel::{
    device,
    ffi::c_char, //
};

use crate::bindings::raw as bindings;

/// What can be given to a tracepoint.
pub(crate) trait Argument {
    /// C's type for it.
    type Raw;

    /// C's value for it. A pointer may be read as long as `self` is borrowed.
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

/// Makes functions that call tracepoints: `fn name(arguments) = tracepoint;`. As long as nobody listens,
/// each is one instruction that does nothing.
///
/// The tracepoint must be in [`bindings::raw`](crate::bindings::raw) with what
/// `CREATE_RUST_TRACE_POINTS` makes of it, and must take any value of its arguments' types: it reads
/// through pointers what they point to, and keeps none. The compiler checks that the types are C's.
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
