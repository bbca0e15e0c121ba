// SPDX-License-Identifier: GPL-2.0

//! Trace events for the life of a buffer, as `docs/tracing.md` describes them.
//!
//! Sizes are in bytes. A domain is one `PDDGPU_GEM_DOMAIN_*`, or 0 for a buffer without memory;
//! `domains` is a mask of them. `id` is a number that no other buffer of `dev`, the card, has had.
//! All may be called in any context, also under spinlocks.
//!
//! C header: `c_shims/pddgpu_trace.h`

use kernel::device::Device;

use crate::{
    abstractions::tracepoint::tracepoints,
    bindings::raw, //
};

/// [`leak`]: a buffer that was suspected or confirmed is gone.
pub(crate) const LEAK_FREED: u32 = raw::PDDGPU_TRACE_LEAK_FREED;

tracepoints! {
    /// A buffer was created, which took `duration` ns. `flags` are `PDDGPU_GEM_CREATE_*`,
    /// `placement` is the domain it is in.
    pub(crate) fn bo_create(
        dev: &Device,
        id: u64,
        size: u64,
        domains: u32,
        flags: u32,
        placement: u32,
        duration: u64,
    ) = pddgpu_bo_create;

    /// A buffer is freed, which took `duration` ns, after it lived for `lifetime` ns.
    pub(crate) fn bo_free(
        dev: &Device,
        id: u64,
        size: u64,
        lifetime: u64,
        duration: u64,
    ) = pddgpu_bo_free;

    /// A buffer went from one domain to another, which took `duration` ns, or failed to with the
    /// negative errno `ret`, else 0. `evict`: not because anybody asked for it.
    #[expect(clippy::too_many_arguments)]
    pub(crate) fn bo_move(
        dev: &Device,
        id: u64,
        size: u64,
        from: u32,
        to: u32,
        evict: bool,
        duration: u64,
        ret: i32,
    ) = pddgpu_bo_move;

    /// A buffer has to make room for others.
    pub(crate) fn bo_evict(
        dev: &Device,
        id: u64,
        size: u64,
        from: u32,
        to: u32,
    ) = pddgpu_bo_evict;

    /// A buffer got into `state`, a `PDDGPU_LEAK_*` of the user-space header or [`LEAK_FREED`], when it was
    /// `age` ms old. `pid` and `comm` are those of the
    /// process that created it, the former in the initial PID namespace.
    pub(crate) fn leak(
        dev: &Device,
        id: u64,
        size: u64,
        state: u32,
        age: u64,
        pid: i32,
        comm: &[u8; 16],
    ) = pddgpu_leak;
}
