// SPDX-License-Identifier: GPL-2.0

//! Resource managers: `struct ttm_resource_manager_func` as a trait.
//!
//! A resource manager allocates one kind of memory to buffers. What it allocates to one buffer is a
//! *resource*.
//!
//! C header: [`include/drm/ttm/ttm_resource.h`](srctree/include/drm/ttm/ttm_resource.h)

use core::{
    ops::Deref,
    ptr::{
        addr_of,
        addr_of_mut,
        NonNull, //
    }, //
};

use kernel::{
    error::from_result,
    prelude::*,
    sync::Arc,
    types::Opaque, //
};

use crate::{
    abstractions::{
        drm::{
            CgroupRegion,
            Printer, //
        },
        slab::Cache,
        ttm::{
            device::BaseDevice,
            placement::{
                MemType,
                Place, //
            },
            resource::{
                Resource,
                INVALID_START, //
            }, //
        }, //
    },
    bindings::raw as bindings, //
};

/// A request for a resource.
pub(crate) struct Request<'a> {
    man: NonNull<bindings::ttm_resource_manager>,
    bo: NonNull<bindings::ttm_buffer_object>,
    /// The place that the resource has to be in.
    pub(crate) place: &'a Place,
}

impl Request<'_> {
    /// Bytes; a multiple of the page size.
    pub(crate) fn size(&self) -> u64 {
        // SAFETY: TTM keeps the buffer during the request; its size is constant.
        unsafe { (*self.bo.as_ptr()).base.size as u64 }
    }

    /// Pages to which its first page is to be aligned, at least 1.
    pub(crate) fn alignment(&self) -> u64 {
        // SAFETY: TTM keeps the buffer during the request; its alignment is constant.
        u64::from(unsafe { (*self.bo.as_ptr()).page_alignment }).max(1)
    }

    /// Whether the buffer is the driver's own rather than user space's.
    pub(crate) fn is_kernel(&self) -> bool {
        // SAFETY: TTM keeps the buffer during the request; its type is constant.
        unsafe { (*self.bo.as_ptr()).type_ == bindings::ttm_bo_type_ttm_bo_type_kernel }
    }

    /// Bytes in use in this memory, including those of the request.
    pub(crate) fn usage(&self) -> u64 {
        // SAFETY: The manager is in use, so it is initialised.
        unsafe { bindings::ttm_resource_manager_usage(self.man.as_ptr()) }
    }
}

/// How a resource lies in its memory.
pub(crate) struct Layout {
    /// The first page in the memory, if the resource is one range.
    pub(crate) start: Option<u64>,
    /// Whether the CPU maps it write-combined. It has no effect on memory that consists of system
    /// pages.
    pub(crate) write_combined: bool,
}

/// A manager of one kind of memory.
///
/// All methods are called in process context and may sleep.
pub(crate) trait ResourceManager: Send + Sync + Sized + 'static {
    /// The manager's data in each resource.
    type Resource: Send + Sync;

    /// Whether the memory consists of system pages, that is of a `ttm_tt`.
    const USE_TT: bool;

    /// Initialises a resource and allocates its memory. The buffer's resv is held.
    ///
    /// # Errors
    ///
    /// After `ENOSPC` TTM tries the next place, and then evicts buffers and asks again. After any
    /// other error the whole operation fails.
    fn alloc<'a>(&'a self, request: &'a Request<'a>) -> impl PinInit<Self::Resource, Error> + 'a;

    /// The layout of a resource.
    fn layout(&self, resource: &Self::Resource) -> Layout;

    /// Frees the resource's memory. The resource is dropped after that.
    fn free(&self, resource: Pin<&mut Self::Resource>);

    /// Whether a part of the resource is in the place's range, so that evicting it could make room
    /// there.
    fn intersects(&self, _resource: &Self::Resource, _place: &Place) -> bool {
        true
    }

    /// Whether the whole resource is in the place's range.
    fn compatible(&self, _resource: &Self::Resource, _place: &Place) -> bool {
        true
    }

    /// Prints the manager's state.
    fn debug(&self, _p: &Printer) {}
}

/// A resource as it is allocated.
///
/// # Invariants
///
/// `base` is first, so that pointers to either are the same.
#[repr(C)]
struct Managed<M: ResourceManager> {
    base: bindings::ttm_resource,
    data: M::Resource,
}

/// A registered resource manager of any type.
///
/// # Invariants
///
/// Wraps a `struct ttm_resource_manager` that is registered with a [`BaseDevice`].
#[repr(transparent)]
pub(crate) struct BaseManager(Opaque<bindings::ttm_resource_manager>);

impl BaseDevice {
    /// TTM's own manager of system memory, for drivers that have no other.
    #[allow(
        dead_code,
        reason = "a driver with a manager of its own does without it"
    )]
    pub(crate) fn system(&self) -> &BaseManager {
        // INVARIANT: It is initialised and registered as long as the device is.
        // SAFETY: `BaseManager` is transparent over it.
        unsafe { &*addr_of!((*self.as_raw()).sysman).cast() }
    }
}

impl BaseManager {
    /// The device it is registered with.
    pub(super) fn dev(&self) -> &BaseDevice {
        // SAFETY: By the type invariant.
        unsafe { BaseDevice::from_raw((*self.as_raw()).bdev) }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::ttm_resource_manager {
        self.0.get()
    }
}

/// A [`ResourceManager`] that is registered with a TTM device.
///
/// Dropping it evicts all buffers from its memory.
///
/// # Invariants
///
/// - `man` is initialised and registered with `dev`.
/// - `inner` is initialised as long as `man` is registered.
#[pin_data(PinnedDrop)]
pub(crate) struct Manager<M: ResourceManager> {
    #[pin]
    man: Opaque<bindings::ttm_resource_manager>,
    mem_type: MemType,
    #[pin]
    inner: M,
    /// The manager that was registered before, which is registered again when this one is dropped.
    previous: *mut bindings::ttm_resource_manager,
    /// The memory of the resources. They are all gone when no buffer is in this memory any more.
    resources: Cache,
    dev: Arc<BaseDevice>,
}

// SAFETY: TTM calls managers from any thread; `M` is `Send` and `Sync`.
unsafe impl<M: ResourceManager> Send for Manager<M> {}

// SAFETY: TTM does its own locking of a manager; `M` is `Sync`.
unsafe impl<M: ResourceManager> Sync for Manager<M> {}

impl<M: ResourceManager> Manager<M> {
    const FUNC: bindings::ttm_resource_manager_func = bindings::ttm_resource_manager_func {
        alloc: Some(Self::alloc_callback),
        free: Some(Self::free_callback),
        intersects: Some(Self::intersects_callback),
        compatible: Some(Self::compatible_callback),
        debug: Some(Self::debug_callback),
    };

    /// Registers a manager for a kind of memory of `dev`. It replaces the one that was registered
    /// before. No buffer may be in that memory. `size` is in a unit of the manager's choice. If there
    /// is a `region`, of the same device, TTM charges what is allocated to the cgroup of the caller.
    ///
    /// # Errors
    ///
    /// Those of `inner`.
    pub(crate) fn new(
        dev: Arc<BaseDevice>,
        mem_type: MemType,
        size: u64,
        region: Option<CgroupRegion>,
        inner: impl PinInit<M, Error>,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            inner <- inner,
            mem_type,
            resources: Cache::new::<Managed<M>>(c"ttm_resource")?,
            // SAFETY: The device is initialised.
            previous: unsafe {
                bindings::ttm_manager_type(dev.as_raw(), mem_type.as_raw() as c_int)
            },
            man <- Opaque::ffi_init(|man: *mut bindings::ttm_resource_manager| {
                let raw = dev.as_raw();

                // SAFETY: `man` is memory for a manager that never moves, and all of it is written:
                // TTM leaves some of the fields as they are. The functions are static. Nothing
                // after this can fail.
                unsafe {
                    man.write_bytes(0, 1);
                    (*man).use_tt = M::USE_TT;
                    (*man).func = const { &Self::FUNC };
                    bindings::ttm_resource_manager_init(man, raw, size);
                    (*man).cg = region.map_or(core::ptr::null_mut(), |region| region.as_raw());
                    bindings::ttm_set_driver_manager(raw, mem_type.as_raw() as c_int, man);
                    bindings::ttm_resource_manager_set_used(man, true);
                }
            }),
            dev,
        }? Error)
    }

    /// Prints TTM's view of the memory and the manager's own (`ttm_resource_manager_debug()`).
    pub(crate) fn print(&self, p: &Printer) {
        // SAFETY: By the type invariant.
        unsafe { bindings::ttm_resource_manager_debug(self.man.get(), p.as_raw()) };
    }

    /// The manager without its type.
    pub(crate) fn base(&self) -> &BaseManager {
        // INVARIANT: By our own.
        // SAFETY: `BaseManager` is transparent over what `man` is.
        unsafe { &*self.man.get().cast() }
    }

    /// What this manager keeps with a resource, [`None`] for a resource that another manager gave.
    pub(crate) fn get<'a>(&self, resource: &'a Resource) -> Option<&'a M::Resource> {
        (resource.manager() == self.man.get())
            // SAFETY: This manager made the resource, so it is the first field of a complete
            // `Managed<M>`.
            .then(|| unsafe { &(*resource.as_raw().cast::<Managed<M>>()).data })
    }

    /// # Safety
    ///
    /// `man` must be that of a `Manager<M>` that stays valid for `'a`.
    unsafe fn from_raw<'a>(man: *mut bindings::ttm_resource_manager) -> &'a Self {
        // SAFETY: By this function's requirements.
        unsafe { &*kernel::container_of!(Opaque::cast_from(man), Self, man) }
    }

    extern "C" fn alloc_callback(
        man: *mut bindings::ttm_resource_manager,
        bo: *mut bindings::ttm_buffer_object,
        place: *const bindings::ttm_place,
        res: *mut *mut bindings::ttm_resource,
    ) -> c_int {
        // SAFETY: TTM calls this with a registered manager, a live buffer and a place that stays.
        let (this, request) = unsafe {
            (
                Self::from_raw(man),
                Request {
                    man: NonNull::new_unchecked(man),
                    bo: NonNull::new_unchecked(bo),
                    place: Place::from_raw(place),
                },
            )
        };

        from_result(|| {
            // SAFETY: `free_callback` drops it, and no resource outlives its manager.
            let mut managed = unsafe { this.resources.alloc_zeroed::<Managed<M>>() }?;
            let raw = managed.as_mut_ptr();

            // SAFETY: `raw` is zeroed memory for a resource; TTM undoes this in `fini` below or in
            // `free_callback`.
            unsafe { bindings::ttm_resource_init(bo, place, addr_of_mut!((*raw).base)) };

            // SAFETY: `data` is uninitialised memory that does not move until it is dropped.
            let init = unsafe {
                pin_init::raw_try_init(addr_of_mut!((*raw).data), this.inner.alloc(&request))
            };
            if let Err(err) = init {
                // SAFETY: Undoes the initialisation above.
                unsafe { bindings::ttm_resource_fini(man, addr_of_mut!((*raw).base)) };
                return Err(err);
            }

            // SAFETY: Both fields are initialised now, and nobody but us uses the resource yet.
            unsafe {
                let layout = this.inner.layout(&(*raw).data);
                let base = &mut (*raw).base;

                base.start = match layout.start {
                    // CAST: Both are 64 bits wide where TTM's pages are.
                    Some(start) => start as c_ulong,
                    None => INVALID_START,
                };
                if layout.start.is_some() {
                    base.placement |= bindings::TTM_PL_FLAG_CONTIGUOUS;
                }
                if layout.write_combined {
                    base.bus.caching = bindings::ttm_caching_ttm_write_combined;
                }
                *res = KBox::into_raw(managed).cast();
            }
            Ok(0)
        })
    }

    extern "C" fn free_callback(
        man: *mut bindings::ttm_resource_manager,
        res: *mut bindings::ttm_resource,
    ) {
        // SAFETY: TTM gives back what `alloc_callback` made, once, with the manager that made it.
        // The box drops `data` in place, which has not moved since.
        unsafe {
            let this = Self::from_raw(man);
            let mut managed = KBox::from_raw(res.cast::<Managed<M>>());

            this.inner.free(Pin::new_unchecked(&mut managed.data));
            bindings::ttm_resource_fini(man, &mut managed.base);
        }
    }

    extern "C" fn intersects_callback(
        man: *mut bindings::ttm_resource_manager,
        res: *mut bindings::ttm_resource,
        place: *const bindings::ttm_place,
        _size: usize,
    ) -> bool {
        // SAFETY: TTM asks about resources this manager made, with a place that stays.
        unsafe {
            Self::from_raw(man)
                .inner
                .intersects(&(*res.cast::<Managed<M>>()).data, Place::from_raw(place))
        }
    }

    extern "C" fn compatible_callback(
        man: *mut bindings::ttm_resource_manager,
        res: *mut bindings::ttm_resource,
        place: *const bindings::ttm_place,
        _size: usize,
    ) -> bool {
        // SAFETY: TTM asks about resources this manager made, with a place that stays.
        unsafe {
            Self::from_raw(man)
                .inner
                .compatible(&(*res.cast::<Managed<M>>()).data, Place::from_raw(place))
        }
    }

    extern "C" fn debug_callback(
        man: *mut bindings::ttm_resource_manager,
        printer: *mut bindings::drm_printer,
    ) {
        // SAFETY: TTM calls this with a registered manager and a printer of its own.
        unsafe { Self::from_raw(man).inner.debug(Printer::from_raw(printer)) };
    }
}

impl<M: ResourceManager> Deref for Manager<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.inner
    }
}

#[pinned_drop]
impl<M: ResourceManager> PinnedDrop for Manager<M> {
    fn drop(self: Pin<&mut Self>) {
        let man = self.man.get();

        // SAFETY: By the type invariant. Eviction leaves TTM's lists empty unless something is
        // pinned, which TTM warns about.
        unsafe {
            let bdev = self.dev.as_raw();

            bindings::ttm_resource_manager_evict_all(bdev, man);
            bindings::ttm_resource_manager_set_used(man, false);
            bindings::ttm_resource_manager_cleanup(man);
            bindings::ttm_set_driver_manager(bdev, self.mem_type.as_raw() as c_int, self.previous);
        }
    }
}
