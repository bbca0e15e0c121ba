// SPDX-License-Identifier: GPL-2.0

//! Locked buffers: the operations that need a buffer's resv.

use core::ops::{
    Deref,
    DerefMut, //
};

use kernel::{
    error::to_result,
    prelude::*,
    types::NotThreadSafe, //
};

use crate::{
    abstractions::{
        ttm::{
            acquire::AcquireCtx,
            ctx::OperationCtx,
            object::{
                Object,
                Priority, //
            },
            placement::{
                placement,
                Place, //
            },
            resource::Resource,
            types::{
                DrmDevice,
                Types, //
            }, //
        }, //
    },
    bindings::raw as bindings, //
};

/// Proof that a buffer's resv is held.
///
/// # Invariants
///
/// The resv of `object` is held as long as this value exists, and is not released by anything else.
pub(crate) struct Locked<'a, T: Types> {
    object: &'a Object<T>,
    /// A resv is a `struct ww_mutex`, which the task that locked it has to unlock.
    _not_send: NotThreadSafe,
}

impl<'a, T: Types> Locked<'a, T> {
    /// # Safety
    ///
    /// The resv of `object` must be held by, and for, the caller as long as the value lives.
    pub(super) unsafe fn new(object: &'a Object<T>) -> Self {
        // INVARIANT: By this function's requirements.
        Self {
            object,
            _not_send: NotThreadSafe,
        }
    }

    /// The buffer.
    pub(crate) fn object(&self) -> &'a Object<T> {
        self.object
    }

    /// The buffer's device.
    pub(crate) fn dev(&self) -> &'a DrmDevice<T> {
        self.object.dev()
    }

    pub(super) fn as_ttm(&self) -> *mut bindings::ttm_buffer_object {
        self.object.as_ttm()
    }

    /// The buffer's resource; [`None`] if it has no memory.
    pub(crate) fn resource(&self) -> Option<&Resource> {
        // SAFETY: The resource is protected by resv, which we hold; moving takes `&mut self`.
        unsafe {
            let res = (*self.as_ttm()).resource;

            (!res.is_null()).then(|| Resource::from_raw(res))
        }
    }

    /// How often the buffer is pinned.
    pub(crate) fn pin_count(&self) -> u32 {
        // SAFETY: Protected by resv.
        unsafe { (*self.as_ttm()).pin_count }
    }

    /// Moves the buffer to one of `places` if it is in none of them, and evicts other buffers for
    /// it if necessary (`ttm_bo_validate()`).
    ///
    /// # Errors
    ///
    /// `EBUSY` for a pinned buffer that is in none of the places; `ENOSPC` if none of them has
    /// room; `ENOMEM`; `ERESTARTSYS` on a signal. The buffer keeps its content.
    pub(crate) fn validate(&mut self, places: &[Place], ctx: &mut OperationCtx) -> Result {
        let mut placement = placement(places);

        // SAFETY: resv is held; the places last as long as the call.
        let ret = unsafe { bindings::ttm_bo_validate(self.as_ttm(), &mut placement, ctx.as_raw()) };
        if ret == EINVAL.to_errno() && self.pin_count() > 0 {
            return Err(EBUSY);
        }
        to_result(ret)
    }

    /// Moves the buffer to the tail of the LRU list, so that it is evicted last
    /// (`ttm_bo_move_to_lru_tail()`). Creating and moving a buffer do so as well.
    pub(crate) fn used(&self) {
        // SAFETY: resv is held.
        unsafe { bindings::ttm_bo_move_to_lru_tail_unlocked(self.as_ttm()) };
    }

    /// Has the buffer evicted before all of a higher priority, and last of those of the same.
    pub(crate) fn set_priority(&self, priority: Priority) {
        // SAFETY: resv is held, which protects the priority.
        unsafe { (*self.as_ttm()).priority = priority as u32 };
        self.used();
    }

    /// Waits for all fences of the buffer (`ttm_bo_wait_ctx()`).
    ///
    /// # Errors
    ///
    /// `EBUSY` after 15 s, `ERESTARTSYS` on a signal.
    pub(crate) fn wait(&self, ctx: &mut OperationCtx) -> Result {
        // SAFETY: resv is held.
        to_result(unsafe { bindings::ttm_bo_wait_ctx(self.as_ttm(), ctx.as_raw()) })
    }
}

impl<T: Types> Locked<'_, T> {
    /// Allocates the buffer's system pages, or restores them from their backup, if it has none
    /// (`ttm_bo_populate()`). No-op for a buffer on the device.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `ERESTARTSYS` on a signal.
    pub(crate) fn populate(&self, ctx: &mut OperationCtx) -> Result {
        if self.resource().is_some_and(Resource::uses_tt) {
            // SAFETY: resv is held.
            to_result(unsafe { bindings::ttm_bo_populate(self.as_ttm(), ctx.as_raw()) })?;
        }
        Ok(())
    }

    /// Frees the buffer's memory, and with it its content. If that needs memory and there is none,
    /// the buffer keeps its own.
    pub(super) fn discard(&mut self) {
        let mut ctx = OperationCtx::uninterruptible();

        // An empty placement means no memory.
        let _ = self.validate(&[], &mut ctx);
    }
}

/// A locked buffer. Dropping it releases resv.
pub(crate) struct Reserved<'a, T: Types>(Locked<'a, T>);

impl<T: Types> Object<T> {
    /// Takes the buffer's resv.
    ///
    /// # Errors
    ///
    /// `ERESTARTSYS` on a signal.
    pub(crate) fn reserve(&self) -> Result<Reserved<'_, T>> {
        Reserved::new(self, core::ptr::null_mut())
    }

    /// As [`reserve`](Self::reserve), so that evictions for the buffer wait for the locks of others.
    ///
    /// # Errors
    ///
    /// `ERESTARTSYS` on a signal.
    pub(crate) fn reserve_in<'a>(&'a self, acquire: &'a AcquireCtx) -> Result<Reserved<'a, T>> {
        Reserved::new(self, acquire.as_raw())
    }

    /// As [`reserve`](Self::reserve), and waits for the lock whatever signals come.
    pub(super) fn reserve_uninterruptibly(&self) -> Reserved<'_, T> {
        // SAFETY: The resv is initialised as long as the buffer lives. Given back in `drop`.
        unsafe {
            bindings::dma_resv_lock((*self.as_ttm()).base.resv, core::ptr::null_mut());
            Reserved::adopt(self)
        }
    }

    /// Takes the buffer's resv if nobody has it.
    pub(super) fn try_reserve(&self) -> Option<Reserved<'_, T>> {
        // SAFETY: The resv is initialised as long as the buffer lives.
        unsafe { bindings::dma_resv_trylock((*self.as_ttm()).base.resv) }
            // SAFETY: Just taken, given back in `drop`.
            .then(|| unsafe { Reserved::adopt(self) })
    }
}

impl<'a, T: Types> Reserved<'a, T> {
    /// Acquires the resv of `object` (`ttm_bo_reserve()`). `ticket` is null, or a context that
    /// outlives the result.
    ///
    /// # Errors
    ///
    /// `ERESTARTSYS` on a signal.
    fn new(object: &'a Object<T>, ticket: *mut bindings::ww_acquire_ctx) -> Result<Self> {
        // SAFETY: `object` is a live buffer, and a context has no other locks.
        to_result(unsafe { bindings::ttm_bo_reserve(object.as_ttm(), true, false, ticket) })?;

        // SAFETY: Just taken, given back in `drop`.
        Ok(Self(unsafe { Locked::new(object) }))
    }

    /// # Safety
    ///
    /// The resv of `object` must be held, and nobody else may give it back.
    pub(super) unsafe fn adopt(object: &'a Object<T>) -> Self {
        // SAFETY: By this function's requirements.
        Self(unsafe { Locked::new(object) })
    }
}

impl<T: Types> Drop for Reserved<'_, T> {
    fn drop(&mut self) {
        // `ttm_bo_unreserve()` would also move the buffer to the tail of the LRU list. Reading the
        // state of a buffer is no use of it.
        // SAFETY: We hold the resv.
        unsafe { bindings::dma_resv_unlock((*self.0.as_ttm()).base.resv) };
    }
}

impl<'a, T: Types> Deref for Reserved<'a, T> {
    type Target = Locked<'a, T>;

    fn deref(&self) -> &Locked<'a, T> {
        &self.0
    }
}

impl<'a, T: Types> DerefMut for Reserved<'a, T> {
    fn deref_mut(&mut self) -> &mut Locked<'a, T> {
        &mut self.0
    }
}
