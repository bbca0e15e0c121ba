// SPDX-License-Identifier: GPL-2.0

//! C interfaces, as bindgen generates them. Only the abstractions and `uapi` use them.
//!
//! [`raw`] is the kernel's own `bindings` crate, and what that crate lacks: TTM, the headers
//! `drm_buddy.h`, `drm_cache.h`, `drm_dumb_buffers.h`, `drm_print.h`, `drm_syncobj.h` and `drm_utils.h`, the dma-buf part of GEM, and the
//! functions of `c_shims/`. [`uapi`] is the driver's user-space header.

/// Interfaces of the kernel.
// It has some ten thousand items, whose pages would bury those of the driver.
#[doc(hidden)]
#[allow(
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::cast_lossless,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unnameable_types,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unused_imports
)]
pub(crate) mod raw {
    pub(crate) use kernel::bindings::*;

    include!(concat!(env!("PDDGPU_GENERATED"), "/bindings_generated.rs"));
}

/// `include/uapi/drm/pddgpu_drm.h`. The header documents each type and constant.
#[allow(
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    dead_code,
    missing_docs,
    non_camel_case_types,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]
pub(crate) mod uapi {
    use kernel::prelude::*;
    use zerocopy_derive::Immutable;

    include!(concat!(env!("PDDGPU_GENERATED"), "/uapi_generated.rs"));
}
