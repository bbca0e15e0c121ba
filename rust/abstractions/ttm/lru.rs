// SPDX-License-Identifier: GPL-2.0

//! Walks of a manager's LRU list, which lock each buffer.
//!
//! C header: [`include/drm/ttm/ttm_bo.h`](srctree/include/drm/ttm/ttm_bo.h)

use core::{
    mem::MaybeUninit,
    ops::ControlFlow,
    ptr::NonNull, //
};

use kernel::error::from_err_ptr;

use crate::{
    abstractions::ttm::{
        ctx::OperationCtx,
        driver::Driver,
        manager::BaseManager,
        object::Object,
        reserved::Locked, //
    },
    bindings::raw as bindings, //
};

/// What a walk does about a buffer that somebody else has locked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Busy {
    /// Leaves it out.
    Skip,
    /// Waits for the lock.
    Wait,
}

/// Calls `f` for the buffers in a manager's memory, the least recently used first, until it breaks
/// (`ttm_bo_lru_cursor_first()`). A buffer that comes or goes meanwhile may be missed.
///
/// `f` gets a live buffer whose resv is held during the call. It may be a ghost.
pub(super) fn walk(
    man: &BaseManager,
    ctx: &mut OperationCtx,
    busy: Busy,
    mut f: impl FnMut(NonNull<bindings::ttm_buffer_object>, &mut OperationCtx) -> ControlFlow<()>,
) {
    let mut arg = bindings::ttm_lru_walk_arg {
        ctx: ctx.as_raw(),
        ticket: core::ptr::null_mut(),
        trylock_only: busy == Busy::Skip,
        sleeping_lock: busy == Busy::Wait,
    };
    let mut cursor = MaybeUninit::<bindings::ttm_bo_lru_cursor>::uninit();
    let cursor = cursor.as_mut_ptr();

    // SAFETY: The cursor does not move until it is finished, below; the manager and the arguments
    // last longer.
    let mut next = unsafe {
        bindings::ttm_bo_lru_cursor_init(cursor, man.as_raw(), &mut arg);
        bindings::ttm_bo_lru_cursor_first(cursor)
    };

    while let Ok(Some(bo)) = from_err_ptr(next).map(NonNull::new) {
        // The cursor holds the buffer's resv, and a reference, until it goes on.
        if f(bo, ctx).is_break() {
            break;
        }
        // SAFETY: The cursor was initialised above and is not finished yet.
        next = unsafe { bindings::ttm_bo_lru_cursor_next(cursor) };
    }

    // SAFETY: The cursor was initialised above. This gives back the last buffer.
    unsafe { bindings::ttm_bo_lru_cursor_fini(cursor) };
}

/// Calls `f` for the buffers in a manager's memory, the least recently used first, until it breaks.
/// It waits for their locks. `f` may move them. A buffer that comes or goes meanwhile may be missed, and
/// those that are being freed are left out.
pub(crate) fn for_each_buffer<T: Driver>(
    man: &BaseManager,
    ctx: &mut OperationCtx,
    f: impl FnMut(&mut Locked<'_, T>, &mut OperationCtx) -> ControlFlow<()>,
) {
    for_each(man, ctx, Busy::Wait, f);
}

/// As [`for_each_buffer`], without the buffers that somebody else has locked.
pub(crate) fn for_each_free_buffer<T: Driver>(
    man: &BaseManager,
    ctx: &mut OperationCtx,
    f: impl FnMut(&mut Locked<'_, T>, &mut OperationCtx) -> ControlFlow<()>,
) {
    for_each(man, ctx, Busy::Skip, f);
}

fn for_each<T: Driver>(
    man: &BaseManager,
    ctx: &mut OperationCtx,
    busy: Busy,
    mut f: impl FnMut(&mut Locked<'_, T>, &mut OperationCtx) -> ControlFlow<()>,
) {
    walk(man, ctx, busy, |bo, ctx| {
        // SAFETY: The walk holds the buffer's resv, and a reference, during the call.
        unsafe {
            match Object::<T>::from_ttm(bo.as_ptr()) {
                Some(object) if !(*bo.as_ptr()).deleted => f(&mut Locked::new(object), ctx),
                _ => ControlFlow::Continue(()),
            }
        }
    });
}
