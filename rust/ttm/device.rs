// SPDX-License-Identifier: GPL-2.0

//! TTM devices, and what a driver tells TTM.
//!
//! C header: [`include/drm/ttm/ttm_device.h`](srctree/include/drm/ttm/ttm_device.h)

use core::{
    ops::Range,
    ptr::from_ref, //
};

use kernel::{
    device::{
        self,
        Bound, //
    },
    error::{
        from_result,
        to_result, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
    types::Opaque, //
};

use crate::{
    bindings::raw as bindings,
    dma::fence::Fence,
    drm::{
        self,
        Entered, //
    },
    ttm::{
        copy,
        placement::placement,
        tt::Tt,
        Aperture,
        BaseManager,
        Locked,
        MemType,
        Object,
        OperationCtx,
        Place,
        Reserved,
        Resource, //
    }, //
};

/// The driver's device as its callbacks see it.
pub(super) type DrmDevice<T> = drm::Device<<T as Driver>::Drm>;

/// How a driver moved a buffer, or wants it moved.
pub(crate) enum Move {
    /// There is nothing to copy: the buffer just is there now.
    Null,
    /// The device copies the content until the fence is signalled; all that uses the old place or the
    /// new one, or what lay in the new one before, comes after it on the same timeline, or waits.
    Fenced(ARef<Fence>),
    /// The CPU shall copy the content ([`Aperture`] for memory on the device).
    Copy,
    /// The buffer must go through this place first.
    Hop(Place),
}

/// When a move that succeeded is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// It is.
    Now,
    /// When its fence is signalled.
    Fenced,
}

/// What keeps a buffer alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A handle of a client.
    Handle,
    /// A mapping by the CPU.
    Mapping,
    /// A dma-buf made of it.
    Export,
}

/// `struct ttm_device_funcs` as a trait. In every method, the buffer's resv is held.
pub(crate) trait Driver: Sized + 'static {
    /// The DRM side of the driver.
    type Drm: drm::Driver<Object = Object<Self>>;

    /// Kept with each buffer.
    type Object: Send + Sync;

    /// The window onto the first bytes of the memory on the device.
    fn aperture(dev: &DrmDevice<Self>) -> &Aperture;

    /// The ranges of memory on the device that hold a resource, in bytes, in the order of the
    /// buffer's pages.
    ///
    /// Memory the aperture does not reach holds nothing that was ever written, as far as
    /// [`Move::Copy`] is concerned: from there zeroes come, and nothing can be copied there.
    fn ranges<'a>(
        dev: &'a DrmDevice<Self>,
        res: &'a Resource,
    ) -> impl Iterator<Item = Range<u64>> + 'a;

    /// Where to evict a buffer to, most wanted first.
    fn evict_places(bo: &Locked<'_, Self>) -> &'static [Place];

    /// The managers whose buffers' pages may go when the system is short of memory, those that are
    /// missed least first.
    fn shrink_order(dev: &DrmDevice<Self>) -> [&BaseManager; 2];

    /// Addresses of the device's that are bound to the pages of a buffer.
    type Binding: Send + Unpin;

    /// Lets the device reach a buffer's pages, which have these ranges of bus addresses, where `res` says;
    /// [`None`] if `res` has no address for them. Before a move there.
    fn bind(
        entered: &Entered<'_>,
        dev: &DrmDevice<Self>,
        res: &Resource,
        pages: &[Range<u64>],
    ) -> Option<Self::Binding>;

    /// Takes the addresses away from the pages, which are going to be used for something else. Once the
    /// device is unplugged, bindings are dropped instead.
    fn unbind(entered: &Entered<'_>, dev: &DrmDevice<Self>, binding: Self::Binding);

    /// Moves a buffer to `new`.
    ///
    /// # Errors
    ///
    /// Leave the buffer where it is.
    fn move_(bo: &Locked<'_, Self>, new: &Resource, ctx: &mut OperationCtx) -> Result<Move>;

    /// What [`move_start`](Driver::move_start) hands to [`move_end`](Driver::move_end).
    type Moving<'a>;

    /// A buffer is about to be moved to `new`, to make room if `evict`.
    fn move_start<'a>(bo: &Locked<'a, Self>, new: &Resource, evict: bool) -> Self::Moving<'a>;

    /// The move ended so. Not called if the buffer has to hop elsewhere first: that is a move of its
    /// own.
    fn move_end(bo: &Locked<'_, Self>, moving: Self::Moving<'_>, result: &Result<Moved>);

    /// A buffer that nobody can reach any more is about to give its memory back. The fence of what is
    /// to be done with it before, if there is one, keeps it until then.
    fn release(bo: &Locked<'_, Self>) -> Option<ARef<Fence>>;

    /// The last reference on a buffer is gone: it is about to be freed. Called without resv.
    fn free_start(object: &Object<Self>);

    /// A buffer was freed, all but its data. Called without resv; also for one whose creation failed,
    /// then without [`free_start`](Driver::free_start).
    fn free_end(object: &Object<Self>);

    /// One more holder keeps a buffer alive, or one less. Called without resv.
    fn held(object: &Self::Object, by: Holder, delta: i32);

    /// Makes a buffer accessible to the CPU where it is not; called in page faults, with `mmap_lock`
    /// held, and for `ptrace`.
    ///
    /// # Errors
    ///
    /// `EBUSY`, `EINTR` and `ERESTARTSYS` let a fault try again, `ENOMEM` means out of memory, all
    /// others `SIGBUS`.
    fn make_accessible(bo: &mut Locked<'_, Self>) -> Result;

    /// Whether a buffer may be mapped by the CPU. Called without resv.
    ///
    /// # Errors
    ///
    /// Go to user space.
    fn may_mmap(object: &Self::Object) -> Result;
}

/// A `struct ttm_device`.
///
/// # Invariants
///
/// Wraps an initialised `struct ttm_device`.
#[pin_data(PinnedDrop)]
pub(crate) struct BaseDevice {
    #[pin]
    bdev: Opaque<bindings::ttm_device>,
    /// Pages that buffers have in system memory.
    populated: Atomic<i64>,
}

// SAFETY: TTM devices are used from any thread.
unsafe impl Send for BaseDevice {}

// SAFETY: TTM does its own locking.
unsafe impl Sync for BaseDevice {}

impl BaseDevice {
    /// Initialises TTM for a device below `parent`, whose pages it maps for DMA
    /// (`ttm_device_init()`).
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new<T: Driver>(
        parent: &device::Device<Bound>,
        drm: &drm::Base,
    ) -> Result<Arc<Self>> {
        let init = try_pin_init!(Self {
            bdev <- Opaque::try_ffi_init(|bdev: *mut bindings::ttm_device| {
                // SAFETY: `bdev` is memory for a device that never moves; TTM wants it zeroed. The
                // parent is valid; the DRM device's address spaces last until its last file is
                // closed, and so longer than any use TTM makes of them.
                to_result(unsafe {
                    bdev.write_bytes(0, 1);
                    bindings::ttm_device_init(
                        bdev,
                        const { &Vtable::<T>::FUNCS },
                        from_ref(parent).cast_mut().cast(),
                        (*(*drm.as_raw()).anon_inode).i_mapping,
                        (*drm.as_raw()).vma_offset_manager,
                        bindings::TTM_ALLOCATION_PROPAGATE_ENOSPC,
                    )
                })?;

                // The memory of what has moved or gone is given back when its fence is signalled. Fences
                // of one timeline are signalled in order: so one worker waits for all of them, and often
                // finds the next signalled too, where TTM would have 16 that are woken one by one.
                // SAFETY: Just initialised.
                unsafe { bindings::workqueue_set_max_active((*bdev).wq, 1) };
                Ok::<_, Error>(())
            }),
            populated: Atomic::new(0),
        }? Error);

        Arc::pin_init(init, GFP_KERNEL)
    }

    pub(super) fn as_raw(&self) -> *mut bindings::ttm_device {
        self.bdev.get()
    }

    /// # Safety
    ///
    /// `bdev` must be that of a `BaseDevice` that stays valid for `'a`.
    pub(super) unsafe fn from_raw<'a>(bdev: *mut bindings::ttm_device) -> &'a Self {
        // SAFETY: By this function's requirements.
        unsafe { &*kernel::container_of!(Opaque::cast_from(bdev), Self, bdev) }
    }

    /// Pages that buffers have in system memory now.
    pub(super) fn populated(&self) -> u64 {
        // A reader may come in between two that count, so it can be below zero for a moment.
        u64::try_from(self.populated.load(Relaxed)).unwrap_or(0)
    }

    /// A buffer got so many pages.
    pub(super) fn now_populated(&self, pages: u32) {
        self.populated.add(pages.into(), Relaxed);
    }

    /// A buffer's pages, so many, went.
    pub(super) fn unpopulated(&self, pages: u32) {
        self.populated.add(-i64::from(pages), Relaxed);
    }

    /// Waits for the memory of buffers that are free, but for work on them that had not ended. No resv
    /// may be held.
    pub(crate) fn wait_for_frees(&self) {
        // SAFETY: By the type invariant; TTM's work queue frees them.
        unsafe { bindings::__flush_workqueue((*self.as_raw()).wq) };
    }

    /// Takes all mappings of buffers by user space away; a page fault brings them back
    /// (`unmap_mapping_range()`).
    pub(super) fn unmap_all(&self) {
        // SAFETY: By the type invariant; the address space is that of the DRM device.
        unsafe { bindings::unmap_mapping_range((*self.as_raw()).dev_mapping, 0, 0, 1) };
    }
}

#[pinned_drop]
impl PinnedDrop for BaseDevice {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant. Managers hold a reference, so they are gone.
        unsafe { bindings::ttm_device_fini(self.bdev.get()) };
    }
}

/// The bus addresses of pages; dropping it takes all of them back, together with the pages
/// (`ttm_device_clear_dma_mappings()`).
///
/// Drop it while the parent is still bound, after the device was unplugged.
pub(crate) struct DmaMappings(Arc<BaseDevice>);

impl DmaMappings {
    /// Those of `dev`, present and to come.
    pub(crate) fn of(dev: Arc<BaseDevice>) -> Self {
        Self(dev)
    }
}

impl Drop for DmaMappings {
    fn drop(&mut self) {
        // SAFETY: The device is initialised.
        unsafe { bindings::ttm_device_clear_dma_mappings(self.0.as_raw()) };
    }
}

struct Vtable<T: Driver>(core::marker::PhantomData<T>);

impl<T: Driver> Vtable<T> {
    const FUNCS: bindings::ttm_device_funcs = bindings::ttm_device_funcs {
        ttm_tt_create: Some(Tt::<T>::create_callback),
        ttm_tt_populate: Some(Tt::<T>::populate_callback),
        ttm_tt_unpopulate: Some(Tt::<T>::unpopulate_callback),
        ttm_tt_destroy: Some(Tt::<T>::destroy_callback),
        eviction_valuable: Some(bindings::ttm_bo_eviction_valuable),
        evict_flags: Some(Self::evict_flags_callback),
        move_: Some(Self::move_callback),
        io_mem_reserve: Some(Self::io_mem_reserve_callback),
        io_mem_pfn: Some(Self::io_mem_pfn_callback),
        access_memory: Some(copy::access_memory_callback::<T>),
        release_notify: Some(Self::release_callback),
        delete_mem_notify: None,
        swap_notify: None,
        io_mem_free: None,
    };

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

            let binding = bo.bind(new)?;
            let moving = T::move_start(&bo, new, evict);
            let moved = T::move_(&bo, new, ctx).and_then(|moved| {
                if let Move::Copy = moved {
                    // Waits, as the clean-up cannot fail any more once it must not.
                    bo.wait(ctx)?;
                    copy::content(&bo, new, ctx)?;
                }
                Ok(moved)
            });

            match &moved {
                // Before the old place, and with it its addresses, may be another's.
                Ok(Move::Null | Move::Fenced(_) | Move::Copy) => binding.keep(&bo),
                Ok(Move::Hop(_)) | Err(_) => binding.undo(&bo),
            }
            let result = match moved {
                // SAFETY: The buffer is locked, and `new_mem` is its to take; the fence ends the use of
                // the old place, or what was to be copied is in the new one.
                Ok(moved) => unsafe {
                    match moved {
                        Move::Null => {
                            bindings::ttm_bo_move_null(object.as_ttm(), new_mem);
                            Ok(Moved::Now)
                        }
                        Move::Copy => {
                            bindings::ttm_bo_move_sync_cleanup(object.as_ttm(), new_mem);
                            Ok(Moved::Now)
                        }
                        Move::Fenced(fence) => {
                            let ret = bindings::ttm_bo_move_accel_cleanup(
                                object.as_ttm(),
                                fence.as_raw(),
                                evict,
                                true,
                                new_mem,
                            );

                            // The content is on its way: there is no way back.
                            if ret != 0 {
                                fence.wait();
                                bindings::ttm_bo_move_sync_cleanup(object.as_ttm(), new_mem);
                            }
                            Ok(Moved::Fenced)
                        }
                        Move::Hop(place) if !hop.is_null() => {
                            *hop = place.into_raw();
                            return Err(Error::from_errno(-bindings::EMULTIHOP));
                        }
                        Move::Hop(_) => Err(EINVAL),
                    }
                },
                Err(err) => Err(err),
            };

            T::move_end(&bo, moving, &result);
            result.map(|_| 0)
        })
    }

    extern "C" fn release_callback(bo: *mut bindings::ttm_buffer_object) {
        // SAFETY: TTM calls this with a buffer whose last reference is gone.
        let Some(object) = (unsafe { Object::<T>::from_ttm(bo) }) else {
            return;
        };

        // SAFETY: The buffer is valid, and its resv its own by now; `bo` gives it back when dropped.
        let bo = unsafe {
            if (*bo).resource.is_null() || !bindings::dma_resv_trylock((*bo).base.resv) {
                return;
            }
            Reserved::adopt(object)
        };

        // First, as nothing may fail once there is a fence.
        if let Ok(slot) = bo.reserve_fence() {
            if let Some(fence) = T::release(&bo) {
                slot.add(&fence);
            }
        }
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
            let offset = copy::pages::<T>(dev, res).next().flatten().ok_or(EINVAL)?;

            // SAFETY: The resource's `bus` is ours to fill, with resv held.
            unsafe {
                (*mem).bus.offset = T::aperture(dev).phys(offset);
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

        // The fault made the whole buffer accessible before it asks for pages.
        object
            .and_then(|object| {
                let dev = object.dev();
                let offset = copy::pages::<T>(dev, res).nth(page_offset)??;

                c_ulong::try_from(T::aperture(dev).phys(offset) >> kernel::page::PAGE_SHIFT).ok()
            })
            .unwrap_or(0)
    }
}
