// SPDX-License-Identifier: GPL-2.0

//! Trace events. `docs/tracing.md` describes them for users.
//!
//! `dev` is the card. `id` is a number that no other buffer of the card has had. Sizes are in
//! bytes. A domain is one `PDDGPU_GEM_DOMAIN_*`, or 0 for a buffer without memory; `domains` is a
//! mask of them. All functions may be called in any context.
//!
//! C header: `c_shims/pddgpu_trace.h`

use kernel::device::Device;

use crate::{
    abstractions::tracepoint::tracepoints,
    bindings::raw, //
};

/// A `state` of [`leak`]: a suspected or confirmed leak was freed.
pub(crate) const LEAK_FREED: u32 = raw::PDDGPU_TRACE_LEAK_FREED;

tracepoints! {
    /// A buffer was created. The creation took `duration` ns. `flags` is a mask of
    /// `PDDGPU_GEM_CREATE_*`, and `placement` is the domain the buffer is in.
    pub(crate) fn bo_create(
        dev: &Device,
        id: u64,
        size: u64,
        domains: u32,
        flags: u32,
        placement: u32,
        duration: u64,
    ) = pddgpu_bo_create;

    /// A buffer was freed. The free took `duration` ns. The buffer was created `lifetime` ns ago.
    pub(crate) fn bo_free(
        dev: &Device,
        id: u64,
        size: u64,
        lifetime: u64,
        duration: u64,
    ) = pddgpu_bo_free;

    /// A buffer was moved from one domain to another, or could not be moved. `duration` is in ns;
    /// it does not include a copy by the copy engine, which is only submitted. `ret` is 0, or the
    /// negative errno of the failure. `evict` is set if the kernel moved the buffer to make room.
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

    /// A buffer got a name, or lost the one it had.
    pub(crate) fn bo_label(dev: &Device, id: u64, label: &[u8; 64]) = pddgpu_bo_label;

    /// A buffer was moved to make room for others. Follows the [`bo_move`] of the same move.
    pub(crate) fn bo_evict(
        dev: &Device,
        id: u64,
        size: u64,
        from: u32,
        to: u32,
    ) = pddgpu_bo_evict;

    /// A buffer got into `state`, a `PDDGPU_LEAK_*` of the user-space header or [`LEAK_FREED`],
    /// when it was `age` ms old. `pid` and `comm` are those of the process that created it, the
    /// former in the initial PID namespace.
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
