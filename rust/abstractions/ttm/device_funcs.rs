// SPDX-License-Identifier: GPL-2.0

//! `struct ttm_device_funcs` made of a [`Driver`], and the devices that have it.
//!
//! C header: [`include/drm/ttm/ttm_device.h`](srctree/include/drm/ttm/ttm_device.h)

use core::marker::PhantomData;

use kernel::{
    device::{
        self,
        Bound, //
    },
    error::from_result,
    prelude::*,
    sync::Arc, //
};

use crate::{
    abstractions::{
        drm,
        slab::Cache,
        ttm::{
            copy,
            ctx::OperationCtx,
            device::BaseDevice,
            driver::{
                Driver,
                Move,
                Moved, //
            },
            object::Object,
            placement::{
                placement,
                MemType,
                Place, //
            },
            reserved::{
                Locked,
                Reserved, //
            },
            resource::Resource,
            tt::Tt, //
        }, //
    },
    bindings::raw as bindings, //
};

impl BaseDevice {
    /// Initialises TTM for a device below `parent`, whose buffers are those of `T`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new<T: Driver>(
        parent: &device::Device<Bound>,
        drm: &drm::Base,
    ) -> Result<Arc<Self>> {
        // SAFETY: The functions are for devices whose buffers are those of `T`, and so is this one.
        unsafe {
            Self::with_funcs(
                const { &Vtable::<T>::FUNCS },
                Cache::new::<Object<T>>(c"ttm_object")?,
                parent,
                drm,
            )
        }
    }
}

struct Vtable<T: Driver>(PhantomData<T>);

impl<T: Driver> Vtable<T> {
    const FUNCS: bindings::ttm_device_funcs = bindings::ttm_device_funcs {
        ttm_tt_create: Some(Tt::<T>::create_callback),
        ttm_tt_populate: Some(Tt::<T>::populate_callback),
        ttm_tt_unpopulate: Some(Tt::<T>::unpopulate_callback),
        ttm_tt_destroy: Some(Tt::<T>::destroy_callback),
        eviction_valuable: Some(Self::eviction_valuable_callback),
        evict_flags: Some(Self::evict_flags_callback),
        move_: Some(Self::move_callback),
        io_mem_reserve: Some(Self::io_mem_reserve_callback),
        io_mem_pfn: Some(Self::io_mem_pfn_callback),
        access_memory: None,
        release_notify: Some(Self::release_callback),
        delete_mem_notify: None,
        swap_notify: None,
        io_mem_free: None,
    };

    extern "C" fn eviction_valuable_callback(
        bo: *mut bindings::ttm_buffer_object,
        place: *const bindings::ttm_place,
    ) -> bool {
        // SAFETY: TTM calls this with a locked buffer or ghost, and null or a place of its own.
        unsafe {
            if !bindings::ttm_bo_eviction_valuable(bo, place) {
                return false;
            }
            match Object::<T>::from_ttm(bo) {
                Some(object) => {
                    let place = (!place.is_null()).then(|| Place::from_raw(place));

                    T::may_evict(&Locked::new(object), place)
                }
                // TTM waits for the fence of a ghost, which is the device's own, and frees it. A ghost
                // is deleted as soon as it is made. One that is not yet cannot be moved.
                None => (*bo).deleted,
            }
        }
    }

    extern "C" fn evict_flags_callback(
        bo: *mut bindings::ttm_buffer_object,
        out: *mut bindings::ttm_placement,
    ) {
        const SYSTEM: &[Place] = &[Place::anywhere(MemType::System)];

        // SAFETY: TTM calls this with a locked buffer; a ghost is none of ours.
        let places = match unsafe { Object::<T>::from_ttm(bo) } {
            // SAFETY: Locked for the whole call.
            Some(object) => T::evict_places(&unsafe { Locked::new(object) }),
            None => SYSTEM,
        };

        // SAFETY: `out` is TTM's, to be filled; the places are static.
        unsafe { *out = placement(places) };
    }

    extern "C" fn move_callback(
        bo: *mut bindings::ttm_buffer_object,
        evict: bool,
        ctx: *mut bindings::ttm_operation_ctx,
        new_mem: *mut bindings::ttm_resource,
        hop: *mut bindings::ttm_place,
    ) -> c_int {
        // SAFETY: TTM calls this with a locked buffer, a complete resource of it, and a context of
        // its own. Ghosts are destroyed, never moved.
        let (object, new, ctx) = unsafe {
            (
                Object::<T>::from_ttm(bo),
                Resource::from_raw(new_mem),
                OperationCtx::from_raw(ctx),
            )
        };

        from_result(|| {
            let object = object.ok_or(EINVAL)?;
            // SAFETY: Locked for the whole call.
            let bo = unsafe { Locked::new(object) };

            // What was mapped for DMA is being unmapped, and is not to move on meanwhile.
            if let Some(old) = bo.resource() {
                drop(bo.dev().enter()?);
                // The pages go, or there are none. The driver waits for what uses them.
                if !(old.uses_tt() && new.uses_tt()) {
                    if bo.is_mapped_elsewhere() {
                        // Who is told waits for as long as it takes, whatever signals come.
                        bo.wait(ctx)?;
                    }
                    bo.invalidate_mappings();
                }
            }
            let binding = bo.bind(new)?;
            let moving = T::move_start(&bo, new, evict);
            let moved = T::move_(&bo, new, ctx).and_then(|moved| {
                if let Move::Copy = moved {
                    // `ttm_bo_move_sync_cleanup()` cannot report an error, so the wait is done
                    // here.
                    bo.wait(ctx)?;
                    copy::content(&bo, new, ctx)?;
                }
                Ok(moved)
            });

            match &moved {
                // The old binding must go before the old resource is freed and its addresses can be
                // assigned to another buffer.
                Ok(Move::Null | Move::Drop | Move::Fenced(_) | Move::Copy) => binding.keep(&bo),
                Ok(Move::Hop(_)) | Err(_) => binding.undo(&bo),
            }
            let result = match moved {
                Ok(Move::Hop(place)) if !hop.is_null() => {
                    // SAFETY: `hop` is TTM's, to be filled.
                    unsafe { *hop = place.into_raw() };
                    return Err(Error::from_errno(-bindings::EMULTIHOP));
                }
                // SAFETY: The buffer is locked, and `new_mem` its to take. The fence ends the use
                // of the old place, or else what was to be copied is in the new one.
                Ok(moved) => unsafe { Self::assign(&bo, moved, evict, new_mem) },
                Err(err) => Err(err),
            };

            T::move_end(&bo, moving, &result);
            result.map(|_| 0)
        })
    }

    /// Makes `new_mem` the place of a buffer that was moved there.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a hop.
    ///
    /// # Safety
    ///
    /// `new_mem` must be a complete resource of the buffer that is nobody's yet. Its content must
    /// be there, or on its way there and the old place in use until the fence of `moved` is
    /// signalled.
    unsafe fn assign(
        bo: &Locked<'_, T>,
        moved: Move,
        evict: bool,
        new_mem: *mut bindings::ttm_resource,
    ) -> Result<Moved> {
        let raw = bo.as_ttm();

        // SAFETY: By this function's requirements; the buffer is locked.
        unsafe {
            match moved {
                Move::Null => bindings::ttm_bo_move_null(raw, new_mem),
                // Pages that are there already would not be zeroed.
                Move::Drop if bindings::ttm_tt_is_populated((*raw).ttm) => return Err(EINVAL),
                Move::Drop => {
                    Tt::<T>::set_zeroed((*raw).ttm);
                    bindings::ttm_bo_move_null(raw, new_mem);
                }
                Move::Copy => bindings::ttm_bo_move_sync_cleanup(raw, new_mem),
                // By what `Move::Fenced` says the old memory may be free before the copy has read it.
                // No ghost has to keep it, and no later owner has to wait for the fence.
                Move::Fenced(fence) if !bo.resource().is_none_or(Resource::uses_tt) => {
                    bindings::dma_resv_add_fence(
                        (*raw).base.resv,
                        fence.as_raw(),
                        bindings::dma_resv_usage_DMA_RESV_USAGE_KERNEL,
                    );
                    bindings::ttm_bo_move_null(raw, new_mem);
                    return Ok(Moved::Fenced);
                }
                Move::Fenced(fence) => {
                    let ret = bindings::ttm_bo_move_accel_cleanup(
                        raw,
                        fence.as_raw(),
                        evict,
                        true,
                        new_mem,
                    );

                    // The copy has started and cannot be undone, so complete the move.
                    if ret != 0 {
                        fence.wait();
                        bindings::ttm_bo_move_sync_cleanup(raw, new_mem);
                    }
                    return Ok(Moved::Fenced);
                }
                Move::Hop(_) => return Err(EINVAL),
            }
        }
        Ok(Moved::Now)
    }

    extern "C" fn release_callback(bo: *mut bindings::ttm_buffer_object) {
        // SAFETY: TTM calls this with a buffer whose last reference is gone.
        let Some(object) = (unsafe { Object::<T>::from_ttm(bo) }) else {
            return;
        };
        // Its resv is that of a dma-buf, which others have.
        if object.is_imported() {
            return;
        }

        // Nobody has a reference any more. Who walks an LRU list may hold the lock nevertheless, but
        // only under the spinlock of that list, until he finds that out.
        // SAFETY: The buffer is valid, and its resv its own by now; `bo` gives it back when dropped.
        let bo = unsafe {
            while !bindings::dma_resv_trylock((*bo).base.resv) {
                core::hint::spin_loop();
            }
            Reserved::adopt(object)
        };

        // Nobody has a dma-buf of it any more, so nobody else's device uses it. What others' fences
        // stand for must not keep its memory, or delay the deletes of other buffers.
        bo.forget_others();
    }

    extern "C" fn io_mem_reserve_callback(
        _bdev: *mut bindings::ttm_device,
        mem: *mut bindings::ttm_resource,
    ) -> c_int {
        // SAFETY: TTM calls this with a complete resource of a locked buffer.
        let (object, res) = unsafe { (Object::<T>::from_ttm((*mem).bo), Resource::from_raw(mem)) };

        from_result(|| {
            if res.uses_tt() {
                return Ok(0);
            }

            let dev = object.ok_or(EINVAL)?.dev();
            let offset = copy::Pages::<T>::new(dev, res, 0)
                .next()
                .flatten()
                .ok_or(EINVAL)?;

            // SAFETY: The resource's `bus` is ours to fill, with resv held.
            unsafe {
                (*mem).bus.offset = T::aperture(dev).bar().phys(offset);
                (*mem).bus.is_iomem = true;
            }
            Ok(0)
        })
    }

    extern "C" fn io_mem_pfn_callback(
        bo: *mut bindings::ttm_buffer_object,
        page_offset: c_ulong,
    ) -> c_ulong {
        // SAFETY: TTM calls this in a page fault, with a locked buffer of ours that has a place.
        let (object, res) = unsafe {
            (
                Object::<T>::from_ttm(bo),
                Resource::from_raw((*bo).resource),
            )
        };

        // The fault handler has made the whole buffer accessible before, so each page has an
        // offset.
        object
            .and_then(|object| {
                let dev = object.dev();
                let offset = copy::Pages::<T>::new(dev, res, page_offset).next()??;

                c_ulong::try_from(T::aperture(dev).bar().phys(offset) >> kernel::page::PAGE_SHIFT)
                    .ok()
            })
            .unwrap_or(0)
    }
}
