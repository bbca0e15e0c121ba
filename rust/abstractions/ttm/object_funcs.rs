// SPDX-License-Identifier: GPL-2.0

//! Creating and freeing buffers, and `struct drm_gem_object_funcs` made of a [`Driver`].
//!
//! C headers: [`include/drm/ttm/ttm_bo.h`](srctree/include/drm/ttm/ttm_bo.h),
//! [`include/drm/drm_gem.h`](srctree/include/drm/drm_gem.h)

use core::ptr::{
    addr_of_mut,
    NonNull, //
};

use kernel::{
    error::{
        from_result,
        to_result, //
    },
    page::PAGE_SIZE,
    prelude::*, //
};

use crate::{
    abstractions::{
        dma::attachment::DmaBuf,
        drm::{
            gem::Ref,
            prime::{
                Exported,
                Exports, //
            },
            File, //
        },
        memcg::MemCgroup,
        ttm::{
            ctx::OperationCtx,
            device::BaseDevice,
            driver::Driver,
            importers::Importers,
            object::{
                Object,
                Priority, //
            },
            placement::{
                placement,
                Place, //
            },
            reserved::{
                Locked,
                Reserved, //
            },
            types::DrmDevice,
            vm, //
        }, //
    },
    bindings::raw as bindings, //
};

impl<T: Driver> Object<T> {
    pub(super) const FUNCS: bindings::drm_gem_object_funcs = bindings::drm_gem_object_funcs {
        free: Some(Self::free_callback),
        open: Some(Self::open_callback),
        close: Some(Self::close_callback),
        export: Some(Exports::<T::Drm>::export_callback),
        pin: Some(Self::pin_callback),
        unpin: Some(Self::unpin_callback),
        get_sg_table: Some(Self::get_sg_table_callback),
        vmap: Some(Self::vmap_callback),
        vunmap: Some(Self::vunmap_callback),
        mmap: Some(vm::mmap_callback::<T>),
        vm_ops: &vm::Operations::<T>::OPS,
        ..pin_init::zeroed()
    };

    /// Creates a buffer for user space in the first of `places` that has room
    /// (`ttm_bo_init_reserved()`). `finish` is called with the new buffer locked, before any other
    /// code can use it.
    ///
    /// `size` is in bytes, a multiple of the page size and not 0. `alignment` is in pages.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a bad size; `ENOSPC` if none of the places has room; `ENOMEM`; `ERESTARTSYS` on
    /// a signal; the errors of `data` and `finish`. On failure the buffer is freed.
    pub(crate) fn new<'a>(
        dev: &'a DrmDevice<T>,
        bdev: &BaseDevice,
        size: usize,
        alignment: u32,
        places: &[Place],
        data: impl PinInit<T::Object, Error>,
        finish: impl FnOnce(&mut Reserved<'_, T>, &mut OperationCtx) -> Result,
    ) -> Result<Ref<'a, Self>> {
        if size == 0 || size % PAGE_SIZE != 0 {
            return Err(EINVAL);
        }

        let mut ctx = OperationCtx::interruptible();
        let mut placement = placement(places);
        // SAFETY: `destroy_callback` drops it, and no buffer outlives its device.
        let mut this = unsafe { bdev.objects.alloc_zeroed::<Self>() }?;
        let raw = this.as_mut_ptr();

        // SAFETY: `data` is uninitialised memory in a box that does not move.
        unsafe { pin_init::raw_try_init(addr_of_mut!((*raw).data), data) }?;
        // SAFETY: The fields are uninitialised memory in the box.
        unsafe {
            addr_of_mut!((*raw).cgroup).write(MemCgroup::current());
            addr_of_mut!((*raw).import).write(None);
            addr_of_mut!((*raw).importers).write(Importers::new());
        }

        // From here on `destroy_callback` frees the box.
        let raw: *mut Self = KBox::into_raw(this).cast();

        // SAFETY: The object is zeroed memory in a box; on failure TTM calls `destroy_callback`,
        // so that `raw` must not be used any more.
        to_result(unsafe {
            let gem = raw.cast::<bindings::drm_gem_object>();

            bindings::drm_gem_private_object_init(dev.base().as_raw(), gem, size);
            (*gem).funcs = const { &Self::FUNCS };
            (*raw.cast::<bindings::ttm_buffer_object>()).priority = Priority::Normal as u32;
            bindings::ttm_bo_init_reserved(
                bdev.as_raw(),
                raw.cast(),
                bindings::ttm_bo_type_ttm_bo_type_device,
                &mut placement,
                alignment,
                ctx.as_raw(),
                core::ptr::null_mut(),
                core::ptr::null_mut(),
                Some(Self::destroy_callback),
            )
        })?;

        // INVARIANT: TTM has initialised it, and `data` is complete.
        // SAFETY: Not null; the reference TTM counts for us is the GEM object's.
        let this = unsafe { Ref::from_raw(NonNull::new_unchecked(raw)) };

        // SAFETY: TTM returns the buffer with its resv held, for us to give back.
        let mut reserved = unsafe { Reserved::adopt(&*this) };
        let result = finish(&mut reserved, &mut ctx);
        drop(reserved);

        result.map(|()| this)
    }

    /// The buffer that embeds a TTM buffer object; [`None`] for a ghost.
    ///
    /// A ghost is a bare `struct ttm_buffer_object` that TTM allocates when a buffer is moved. It
    /// owns the old memory until the move's fence is signalled. It is not embedded in an `Object`.
    ///
    /// # Safety
    ///
    /// `bo` must be valid for `'a`, on a device of `T`.
    pub(super) unsafe fn from_ttm<'a>(bo: *mut bindings::ttm_buffer_object) -> Option<&'a Self> {
        // SAFETY: By this function's requirements.
        let destroy = unsafe { (*bo).destroy }?;
        let ours: unsafe extern "C" fn(*mut bindings::ttm_buffer_object) = Self::destroy_callback;

        // CAST: Only the addresses matter: nothing else installs ours.
        (destroy as usize == ours as usize)
            // SAFETY: The destructor is set by `new` alone, so this is the first field of `Self`.
            .then(|| unsafe { &*bo.cast() })
    }

    extern "C" fn free_callback(gem: *mut bindings::drm_gem_object) {
        // SAFETY: The last GEM reference is gone; TTM drops its own after this.
        unsafe {
            T::free_start(&*gem.cast::<Self>());
            bindings::ttm_bo_fini(gem.cast());
        }
    }

    extern "C" fn open_callback(
        gem: *mut bindings::drm_gem_object,
        file: *mut bindings::drm_file,
    ) -> c_int {
        // SAFETY: The DRM core calls this with an object of ours that gets a handle, and with the
        // open file that it is for.
        let (data, file) = unsafe { (&(*gem.cast::<Self>()).data, File::<T::Drm>::from_raw(file)) };

        from_result(|| T::handle_added(data, file.data()).map(|()| 0))
    }

    extern "C" fn close_callback(
        gem: *mut bindings::drm_gem_object,
        file: *mut bindings::drm_file,
    ) {
        // SAFETY: The DRM core calls this with an object of ours whose handle goes, and with the
        // file that it was for, which is still open.
        let (data, file) = unsafe { (&(*gem.cast::<Self>()).data, File::<T::Drm>::from_raw(file)) };

        T::handle_dropped(data, file.data());
    }

    pub(super) extern "C" fn destroy_callback(bo: *mut bindings::ttm_buffer_object) {
        // SAFETY: TTM calls this once, when nothing uses the buffer any more. The box drops `data`
        // in place.
        unsafe {
            T::free_end(&*bo.cast::<Self>());
            bindings::drm_gem_object_release(bo.cast());
            drop(KBox::from_raw(bo.cast::<Self>()));
        }
    }
}

impl<T: Driver> Exported for Object<T> {
    fn export_added(&self) -> Result {
        T::export_added(self)
    }

    fn exported(&self, buf: &DmaBuf) {
        T::exported(self, buf);
    }

    fn export_dropped(&self) {
        T::export_dropped(self);
    }

    unsafe fn map_added(&self, buf: &DmaBuf) -> Result {
        // SAFETY: By the trait's requirements resv is held.
        Self::map_for(&mut unsafe { Locked::new(self) }, buf)
    }

    unsafe fn map_dropped(&self) {
        // SAFETY: By the trait's requirements resv is held.
        Self::unmapped(&unsafe { Locked::new(self) });
    }
}
