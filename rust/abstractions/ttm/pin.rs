// SPDX-License-Identifier: GPL-2.0

//! Buffers whose memory other devices use through a dma-buf without being told of moves: they are
//! pinned in system memory as long as it is mapped.
//!
//! The functions here are those of `struct drm_gem_object_funcs` that the dma-buf operations call.
//!
//! C source: `drivers/gpu/drm/drm_prime.c`

use core::ptr::{
    addr_of_mut,
    NonNull, //
};

use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*, //
};

use crate::{
    abstractions::ttm::{
        ctx::OperationCtx,
        device::BaseDevice,
        driver::Driver,
        object::Object,
        placement::{
            MemType,
            Place, //
        },
        reserved::Locked, //
    },
    bindings::raw as bindings, //
};

/// Where a buffer is pinned. Addresses in GTT are scarce, and another device has no use for them.
const PINNED: [Place; 1] = [Place::anywhere(MemType::System)];

impl<T: Driver> Locked<'_, T> {
    /// Moves the buffer to system memory and keeps it there (`ttm_bo_pin()`).
    ///
    /// # Errors
    ///
    /// `ENODEV` if the device is gone, and the content with it; `ENOMEM`; `ERESTARTSYS` on a signal;
    /// those of the move.
    fn pin(&mut self) -> Result {
        let mut ctx = OperationCtx::interruptible();

        if self.pin_count() == 0 {
            drop(self.dev().enter()?);
            self.validate(&PINNED, &mut ctx)?;
            self.populate(&mut ctx)?;
            // The content may still be on its way.
            self.object().wait_for_moves()?;
            self.kernel_status()?;
        }
        // SAFETY: resv is held.
        unsafe { bindings::ttm_bo_pin(self.as_ttm()) };
        Ok(())
    }

    fn unpin(&self) {
        // SAFETY: resv is held, and the caller has pinned it.
        unsafe { bindings::ttm_bo_unpin(self.as_ttm()) };
    }
}

impl<T: Driver> Object<T> {
    /// # Safety
    ///
    /// `gem` must be a live object of `T` whose resv is held during `'a`.
    unsafe fn locked<'a>(gem: *mut bindings::drm_gem_object) -> Locked<'a, T> {
        // SAFETY: By this function's requirements.
        unsafe { Locked::new(&*gem.cast::<Self>()) }
    }

    pub(super) extern "C" fn pin_callback(gem: *mut bindings::drm_gem_object) -> c_int {
        // SAFETY: The DRM core calls this with an object of ours, and with resv held.
        from_result(|| unsafe { Self::locked(gem) }.pin().map(|()| 0))
    }

    pub(super) extern "C" fn unpin_callback(gem: *mut bindings::drm_gem_object) {
        // SAFETY: The DRM core calls this with an object of ours that it has pinned, and with resv
        // held.
        unsafe { Self::locked(gem) }.unpin();
    }

    /// The pages of a buffer that is in system memory.
    pub(super) extern "C" fn get_sg_table_callback(
        gem: *mut bindings::drm_gem_object,
    ) -> *mut bindings::sg_table {
        // SAFETY: The DRM core calls this with an object of ours that is in system memory: so it
        // has a populated tt.
        unsafe {
            let tt = (*gem.cast::<bindings::ttm_buffer_object>()).ttm;

            bindings::drm_prime_pages_to_sg((*gem).dev, (*tt).pages, (*tt).num_pages)
        }
    }

    pub(super) extern "C" fn vmap_callback(
        gem: *mut bindings::drm_gem_object,
        map: *mut bindings::iosys_map,
    ) -> c_int {
        from_result(|| {
            // SAFETY: The DRM core calls this with an object of ours, and with resv held.
            let mut bo = unsafe { Self::locked(gem) };

            bo.pin()?;
            // SAFETY: resv is held; `map` is the caller's, to be filled.
            to_result(unsafe { bindings::ttm_bo_vmap(bo.as_ttm(), map) })
                .inspect_err(|_| bo.unpin())?;
            Ok(0)
        })
    }

    pub(super) extern "C" fn vunmap_callback(
        gem: *mut bindings::drm_gem_object,
        map: *mut bindings::iosys_map,
    ) {
        // SAFETY: The DRM core calls this with what `vmap_callback` mapped, and with resv held.
        unsafe {
            bindings::ttm_bo_vunmap(gem.cast(), map);
            Self::locked(gem).unpin();
        }
    }
}

/// Calls `f` for the pinned buffers of a device, which no LRU list has. A buffer that comes or goes
/// meanwhile may be missed.
///
/// `f` gets a live buffer whose resv is held during the call.
pub(super) fn walk<T: Driver>(bdev: &BaseDevice, mut f: impl FnMut(&Locked<'_, T>)) {
    let raw = bdev.as_raw();
    // SAFETY: The list is protected by the spinlock.
    let count = unsafe {
        bindings::spin_lock(addr_of_mut!((*raw).lru_lock));
        let count = bindings::list_count_nodes(addr_of_mut!((*raw).unevictable));
        bindings::spin_unlock(addr_of_mut!((*raw).lru_lock));
        count
    };

    for _ in 0..count {
        let Some(gem) = next_pinned(raw) else {
            continue;
        };
        // SAFETY: We have a reference, and only buffers of ours are pinned.
        let object = unsafe { &*gem.as_ptr().cast::<Object<T>>() };
        f(&object.reserve_uninterruptibly());

        // SAFETY: The reference is ours.
        unsafe { bindings::drm_gem_object_put(gem.as_ptr()) };
    }
}

/// The first buffer in the list of those that cannot be evicted, which becomes the last, with a
/// reference for the caller; [`None`] if there is none, or if it is being freed.
fn next_pinned(bdev: *mut bindings::ttm_device) -> Option<NonNull<bindings::drm_gem_object>> {
    // SAFETY: The list is protected by the spinlock. It has resources, whose buffers live as long as
    // they do.
    unsafe {
        bindings::spin_lock(addr_of_mut!((*bdev).lru_lock));
        let list = addr_of_mut!((*bdev).unevictable);
        let first = (*list).next;
        let mut found = None;

        if first != list {
            let item = kernel::container_of!(first, bindings::ttm_lru_item, link);
            let res = kernel::container_of!(item, bindings::ttm_resource, lru);
            let gem: *mut bindings::drm_gem_object = (*res).bo.cast();

            bindings::list_move_tail(first, list);
            if bindings::kref_get_unless_zero(addr_of_mut!((*gem).refcount)) {
                found = NonNull::new(gem);
            }
        }
        bindings::spin_unlock(addr_of_mut!((*bdev).lru_lock));
        found
    }
}
