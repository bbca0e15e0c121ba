// SPDX-License-Identifier: GPL-2.0

//! The shrinker: it frees system pages of buffers when the system is short of memory.
//!
//! The content of the pages is copied to a shmem file, the *backup*, which the kernel can swap out
//! like any other. It is restored when the CPU next accesses the buffer, or when the buffer is
//! moved to memory that needs the pages (`ttm_bo_populate()`).
//!
//! C headers: [`include/linux/shrinker.h`](srctree/include/linux/shrinker.h),
//! [`include/drm/ttm/ttm_bo.h`](srctree/include/drm/ttm/ttm_bo.h)

use core::{
    marker::PhantomData,
    ops::ControlFlow,
    ptr::{
        from_ref,
        NonNull, //
    }, //
};

use kernel::{
    page::PAGE_SHIFT,
    prelude::*,
    sync::aref::ARef, //
};

use crate::{
    abstractions::{
        drm,
        ttm::{
            ctx::OperationCtx,
            driver::Driver,
            lru::{
                self,
                Busy, //
            },
            manager::BaseManager,
            object::Object,
            placement::{
                MemType,
                Place, //
            },
            reserved::Locked,
            tt::Tt,
            types::DrmDevice, //
        }, //
    },
    bindings::raw as bindings, //
};

// CAST: The kernel's bindings have the numbers, but not the type.
const EMPTY: c_ulong = bindings::SHRINK_EMPTY as c_ulong;
const STOP: c_ulong = bindings::SHRINK_STOP as c_ulong;

/// A registered `struct shrinker` for the pages of a device's buffers.
///
/// # Invariants
///
/// `raw` is registered, with our callbacks for `T` and `dev` as its data.
pub(crate) struct Shrinker<T: Driver> {
    raw: NonNull<bindings::shrinker>,
    /// Keeps the managers alive, which the callbacks walk.
    _dev: ARef<DrmDevice<T>>,
    _driver: PhantomData<T>,
}

// SAFETY: A shrinker may be unregistered by any thread.
unsafe impl<T: Driver> Send for Shrinker<T> {}

// SAFETY: `&Shrinker` has no methods.
unsafe impl<T: Driver> Sync for Shrinker<T> {}

impl<T: Driver> Shrinker<T> {
    /// Registers a shrinker for the buffers of `dev` (`shrinker_register()`).
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(dev: ARef<DrmDevice<T>>) -> Result<Self> {
        let base: &drm::Base = dev.base();

        // SAFETY: The format takes one string, and a DRM device has a name as long as it lives.
        let raw = unsafe {
            bindings::shrinker_alloc(0, c"drm-ttm_bo:%s".as_char_ptr(), (*base.as_raw()).unique)
        };
        let raw = NonNull::new(raw).ok_or(ENOMEM)?;

        // SAFETY: The shrinker is ours until it is registered. The callbacks are static, and
        // `_dev` keeps the device until it is unregistered.
        unsafe {
            (*raw.as_ptr()).count_objects = Some(Self::count_callback);
            (*raw.as_ptr()).scan_objects = Some(Self::scan_callback);
            (*raw.as_ptr()).private_data = from_ref::<DrmDevice<T>>(&dev).cast_mut().cast();
            bindings::shrinker_register(raw.as_ptr());
        }

        // INVARIANT: Just done.
        Ok(Self {
            raw,
            _dev: dev,
            _driver: PhantomData,
        })
    }

    /// The number of pages that could be freed: those that may be dropped, and the smaller of the
    /// pages of buffers and the free swap.
    extern "C" fn count_callback(
        shrinker: *mut bindings::shrinker,
        sc: *mut bindings::shrink_control,
    ) -> c_ulong {
        // SAFETY: The kernel calls this with a shrinker of ours, so with a device that is kept, and
        // a `sc` of its own.
        let (dev, may_swap) = unsafe { (Self::dev(shrinker), may_swap(&*sc)) };
        if !may_swap {
            return 0;
        }

        // The managers are all of one device.
        let populated = T::managers_of_pages(dev)
            .into_iter()
            .next()
            .map_or(0, |man| man.dev().populated());

        match populated.min(free_swap() + T::purgeable_pages(dev)) {
            0 => EMPTY,
            // CAST: Both are 64 bits wide where TTM's pages are.
            pages => pages as c_ulong,
        }
    }

    extern "C" fn scan_callback(
        shrinker: *mut bindings::shrinker,
        sc: *mut bindings::shrink_control,
    ) -> c_ulong {
        // SAFETY: The kernel calls this with a shrinker of ours, so with a device that is kept;
        // `sc` is ours during the call.
        let (dev, sc) = unsafe { (Self::dev(shrinker), &mut *sc) };
        // Without free swap TTM would first move a buffer, and only then fail to back it up.
        if !may_swap(sc) || free_swap() + T::purgeable_pages(dev) == 0 {
            return STOP;
        }

        let mut walk = Walk {
            only_purge: free_swap() == 0,
            to_scan: sc.nr_to_scan,
            scanned: 0,
            freed: 0,
        };

        for man in T::managers_of_pages(dev) {
            walk.manager::<T>(man);
        }

        sc.nr_scanned = walk.scanned;
        if walk.scanned == 0 {
            return STOP;
        }
        walk.freed
    }

    /// # Safety
    ///
    /// `shrinker` must be a registered one of ours, and stay so for `'a`.
    unsafe fn dev<'a>(shrinker: *mut bindings::shrinker) -> &'a DrmDevice<T> {
        // SAFETY: By this function's requirements, `new` set it.
        unsafe { &*(*shrinker).private_data.cast() }
    }
}

impl<T: Driver> Drop for Shrinker<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. Waits for the callbacks that run.
        unsafe { bindings::shrinker_free(self.raw.as_ptr()) };
    }
}

/// Whether the allocation that needs memory may enter file systems, and so shmem.
fn may_swap(sc: &bindings::shrink_control) -> bool {
    sc.gfp_mask & bindings::__GFP_FS != 0
}

/// Free swap, in pages.
pub(crate) fn free_swap() -> u64 {
    // SAFETY: Only reads a counter.
    unsafe { bindings::ttm_backup_bytes_avail() >> PAGE_SHIFT }
}

/// The state of one `scan_objects` call, which walks the LRU lists.
struct Walk {
    /// Whether only content is dropped that is not needed, because there is no swap.
    only_purge: bool,
    /// Pages to scan.
    to_scan: c_ulong,
    /// Pages scanned so far.
    scanned: c_ulong,
    /// Pages freed so far.
    freed: c_ulong,
}

impl Walk {
    /// Walks the buffers in a manager's memory, the least recently used first, until enough pages
    /// were scanned. Buffers that are locked or busy are skipped.
    fn manager<T: Driver>(&mut self, man: &BaseManager) {
        lru::walk(man, &mut OperationCtx::no_wait(), Busy::Skip, |bo, ctx| {
            // SAFETY: The walk holds the buffer's resv, and a reference, during the call.
            unsafe { self.buffer::<T>(bo.as_ptr(), ctx) };

            if self.scanned >= self.to_scan {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
    }

    /// # Safety
    ///
    /// `bo` must be a live buffer on a device of `T`, whose resv is held.
    unsafe fn buffer<T: Driver>(
        &mut self,
        bo: *mut bindings::ttm_buffer_object,
        ctx: &mut OperationCtx,
    ) {
        // Ghosts and deleted buffers are freed anyway when their fences are signalled.
        // SAFETY: By this function's requirements the buffer is live.
        let Some(object) = (unsafe { Object::<T>::from_ttm(bo) }) else {
            return;
        };
        // The exporter's pages.
        if object.is_imported() {
            return;
        }
        // SAFETY: By this function's requirements the buffer is live and its resv held.
        if unsafe { (*bo).deleted } {
            return;
        }
        // SAFETY: By this function's requirements the buffer is live and its resv held.
        if !unsafe { bindings::ttm_bo_shrink_suitable(bo, ctx.as_raw()) } {
            return;
        }

        // SAFETY: By this function's requirements resv is held. A suitable buffer has a `ttm_tt`,
        // which stays with it as long as that is so.
        unsafe {
            let tt = (*bo).ttm;

            // CAST: 32 bits fit into a `c_ulong`.
            self.scanned += (*tt).num_pages as c_ulong;

            let mut locked = Locked::new(object);
            let may_purge = T::may_purge(object);
            if self.only_purge && !may_purge {
                return;
            }
            // Telling other devices would mean to wait for them. The buffer goes out of the way: or else
            // each walk would scan these pages, and no others.
            if locked.is_mapped_elsewhere() {
                locked.used();
                return;
            }
            if locked
                .validate(&[Place::anywhere(MemType::System)], ctx)
                .and_then(|()| locked.wait(ctx))
                .is_err()
            {
                return;
            }
            bindings::ttm_bo_unmap_virtual(bo);
            Tt::<T>::unmap(tt);

            if may_purge {
                self.freed += Tt::<T>::purge(tt) as c_ulong;
                T::purged(&locked);
                return;
            }
            // Others may have used it up.
            if free_swap() == 0 {
                return;
            }

            // Whoever made the buffer pays for its backup, as for its pages. If the backup fails the
            // buffer keeps its pages, and the walk goes on with the next.
            let _charging = object.cgroup.charge();
            self.freed += Tt::<T>::back_up(tt) as c_ulong;
            // Out of the way of the next walk.
            locked.used();
        }
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../../tests/kunit/abstractions/ttm/shrinker.rs"]
mod kunit;
