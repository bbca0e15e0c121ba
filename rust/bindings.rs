// SPDX-License-Identifier: GPL-2.0

//! C interfaces as bindgen sees them; only the wrapper rooms use them.
//!
//! [`raw`] is what the kernel's own `bindings` crate lacks: TTM, `drm_mm`, DRM's printing, and the
//! shims of `c_shims/`. [`uapi`] is the driver's user-space interface.

/// Interfaces of the kernel.
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

/// `include/uapi/drm/pddgpu_drm.h`, which documents it.
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
    include!(concat!(env!("PDDGPU_GENERATED"), "/uapi_generated.rs"));
}

/// Says that structures of the user-space header are plain numbers without padding in between.
macro_rules! arguments {
    ($($name:ident),* $(,)?) => {
        $(
            // SAFETY: The structure has fields of integers only, each where the sum of those before
            // it ends: the header pads by hand.
            unsafe impl crate::drm::ioctl::Argument for uapi::$name {}
        )*
    };
}

arguments!(
    drm_pddgpu_gem_create,
    drm_pddgpu_gem_info,
    drm_pddgpu_gem_mmap,
    drm_pddgpu_gem_move,
    drm_pddgpu_gem_wait,
    drm_pddgpu_heap,
    drm_pddgpu_leak,
    drm_pddgpu_query,
    drm_pddgpu_query_device,
    drm_pddgpu_query_heaps,
    drm_pddgpu_query_leaks,
    drm_pddgpu_query_memory_stats,
);
