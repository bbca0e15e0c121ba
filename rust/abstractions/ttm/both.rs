// SPDX-License-Identifier: GPL-2.0

//! Locking two buffers at once.
//!
//! `drm_exec` does this for any number of buffers. It is a module of its own, and keeps a list, where
//! two buffers need one retry.

use kernel::{
    error::to_result,
    prelude::*, //
};
use pin_init::stack_pin_init;

use crate::{
    abstractions::ttm::{
        acquire::AcquireCtx,
        object::Object,
        reserved::{
            Locked,
            Reserved, //
        },
        types::Types, //
    },
    bindings::raw as bindings, //
};

impl<T: Types> Object<T> {
    /// Whether both buffers have one resv. Two that were made of one dma-buf do, and a buffer and itself.
    pub(crate) fn shares_resv_with(&self, other: &Self) -> bool {
        // SAFETY: Both live, so that neither changes.
        unsafe { (*self.as_ttm()).base.resv == (*other.as_ttm()).base.resv }
    }

    /// Calls `f` with both buffers locked, which may be the same one.
    ///
    /// # Errors
    ///
    /// Those of `f`; `ERESTARTSYS` on a signal.
    pub(crate) fn with_both_locked<R>(
        &self,
        other: &Self,
        f: impl FnOnce(&Locked<'_, T>, &Locked<'_, T>) -> Result<R>,
    ) -> Result<R> {
        if self.shares_resv_with(other) {
            let locked = self.reserve()?;
            // SAFETY: The resv of `self`, which is held until `f` returns, is that of `other`.
            let other = unsafe { Locked::new(other) };

            return f(&locked, &other);
        }

        stack_pin_init!(let acquire = AcquireCtx::new());
        let mut first = self.reserve_in(&acquire)?;
        let mut next = other;
        let mut swapped = false;
        loop {
            match next.reserve_in(&acquire) {
                Ok(second) if swapped => return f(&second, &first),
                Ok(second) => return f(&first, &second),
                // Somebody else has it who came earlier, and may want the one that we have. So that
                // is given back, and this one is locked first.
                Err(EDEADLK) => {
                    let contended = core::mem::replace(&mut next, first.object());

                    swapped = !swapped;
                    drop(first);
                    first = contended.reserve_contended(&acquire)?;
                }
                Err(err) => return Err(err),
            }
        }
    }

    /// Locks a buffer that could not be locked without a deadlock (`ttm_bo_reserve_slowpath()`).
    /// Nothing else may be locked in the context.
    ///
    /// # Errors
    ///
    /// `ERESTARTSYS` on a signal.
    fn reserve_contended<'a>(&'a self, acquire: &'a AcquireCtx) -> Result<Reserved<'a, T>> {
        // SAFETY: `self` is a live buffer, and the context has no locks.
        to_result(unsafe {
            bindings::ttm_bo_reserve_slowpath(self.as_ttm(), true, acquire.as_raw())
        })?;

        // SAFETY: Just taken.
        Ok(unsafe { Reserved::adopt(self) })
    }
}
