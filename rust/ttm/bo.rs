// SPDX-License-Identifier: GPL-2.0

//! Buffer objects.
//!
//! C header: [`include/drm/ttm/ttm_bo.h`](srctree/include/drm/ttm/ttm_bo.h)

use core::{
    mem::offset_of,
    ops::Deref,
    ptr::{
        addr_of_mut,
        NonNull, //
    },
};

use kernel::{
    alloc::flags::__GFP_ZERO,
    error::to_result,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    },
    types::Opaque, //
};

use crate::{
    bindings::raw as bindings,
    drm::{
        self,
        gem,
        prime::Exports, //
    },
    sys::time::jiffies_to_ns,
    ttm::{
        device::DrmDevice,
        placement::placement,
        vm,
        BaseDevice,
        Driver,
        Holder,
        OperationCtx,
        Place,
        Reserved, //
    }, //
};

// DRM and TTM both cast between the two.
const _: () = assert!(offset_of!(bindings::ttm_buffer_object, base) == 0);

/// A buffer: a TTM buffer object that is a GEM object too, with the data of the driver.
///
/// It may be kept only as long as something holds its device: a handle, a mapping or an export do.
///
/// # Invariants
///
/// - `bo` is initialised by TTM, on a device of `T`, and `data` is complete.
/// - It lives in a `KBox` that `destroy_callback` frees.
#[repr(C)]
pub(crate) struct Object<T: Driver> {
    bo: Opaque<bindings::ttm_buffer_object>,
    data: T::Object,
}

// SAFETY: A buffer is used from any thread; `data` is `Send` and `Sync`.
unsafe impl<T: Driver> Send for Object<T> {}

// SAFETY: As above. What is not constant is reached through `Locked` only.
unsafe impl<T: Driver> Sync for Object<T> {}

impl<T: Driver> Object<T> {
    const FUNCS: bindings::drm_gem_object_funcs = bindings::drm_gem_object_funcs {
        free: Some(Self::free_callback),
        open: Some(Self::open_callback),
        close: Some(Self::close_callback),
        export: Some(Exports::<T::Drm>::export_callback),
        mmap: Some(vm::mmap_callback::<T>),
        vm_ops: &vm::Operations::<T>::OPS,
        ..pin_init::zeroed()
    };

    /// Creates a buffer of user space's in one of `places` (`ttm_bo_init_reserved()`), and lets
    /// `finish` see to it before anybody else can.
    ///
    /// `size` is in bytes, a multiple of the page size and not 0; `alignment` in pages.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a bad size; `ENOSPC` if there is room in none of the places; `ENOMEM`;
    /// `ERESTARTSYS` on a signal; what `data` and `finish` fail with. Nothing is left behind.
    pub(crate) fn new(
        dev: &DrmDevice<T>,
        bdev: &BaseDevice,
        size: usize,
        alignment: u32,
        places: &[Place],
        data: impl PinInit<T::Object, Error>,
        finish: impl FnOnce(&mut Reserved<'_, T>, &mut OperationCtx) -> Result,
    ) -> Result<ARef<Self>> {
        if size == 0 || size % PAGE_SIZE != 0 {
            return Err(EINVAL);
        }

        let mut ctx = OperationCtx::interruptible();
        let mut placement = placement(places);
        let mut this = KBox::<Self>::new_uninit(GFP_KERNEL | __GFP_ZERO)?;
        let raw = this.as_mut_ptr();

        // SAFETY: `data` is uninitialised memory in a box that does not move.
        unsafe { pin_init::raw_try_init(addr_of_mut!((*raw).data), data) }?;

        // From here on `destroy_callback` frees the box.
        let raw: *mut Self = KBox::into_raw(this).cast();

        // SAFETY: The object is zeroed memory in a box; on failure TTM calls `destroy_callback`,
        // so that `raw` must not be used any more.
        to_result(unsafe {
            let gem = raw.cast::<bindings::drm_gem_object>();

            bindings::drm_gem_private_object_init(dev.base().as_raw(), gem, size);
            (*gem).funcs = const { &Self::FUNCS };
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
        let this = unsafe { ARef::from_raw(NonNull::new_unchecked(raw)) };

        // SAFETY: TTM returns the buffer with its resv held, for us to give back.
        let mut reserved = unsafe { Reserved::adopt(&*this) };
        let result = finish(&mut reserved, &mut ctx);
        drop(reserved);

        result.map(|()| this)
    }

    /// The buffer's device.
    pub(crate) fn dev(&self) -> &DrmDevice<T> {
        // SAFETY: The GEM object points to its device, a `drm::Device<T::Drm>`: `new` set it.
        unsafe { DrmDevice::<T>::from_base(drm::Base::from_raw((*self.gem()).dev)) }
    }

    /// Bytes, a multiple of the page size.
    pub(crate) fn size(&self) -> u64 {
        // SAFETY: Constant.
        unsafe { (*self.gem()).size as u64 }
    }

    /// Bytes to which the buffer's address is aligned, at least a page.
    pub(crate) fn alignment(&self) -> u64 {
        // SAFETY: Constant.
        u64::from(unsafe { (*self.as_ttm()).page_alignment }.max(1)) << PAGE_SHIFT
    }

    /// The offset at which user space maps the buffer from a DRM file.
    pub(crate) fn mmap_offset(&self) -> u64 {
        // SAFETY: The node was added when the buffer was made, and stays as long as it lives.
        unsafe { bindings::drm_vma_node_offset_addr(addr_of_mut!((*self.gem()).vma_node)) }
    }

    /// Takes the buffer's resv.
    ///
    /// # Errors
    ///
    /// `ERESTARTSYS` on a signal.
    pub(crate) fn reserve(&self) -> Result<Reserved<'_, T>> {
        Reserved::new(self)
    }

    /// Waits, for at most `timeout` jiffies, until nothing works on the buffer any more
    /// (`dma_resv_wait_timeout()`); with 0 only asks. Who works on it is told by when it is wanted.
    ///
    /// # Errors
    ///
    /// `ETIME`; `ERESTARTSYS` on a signal.
    pub(crate) fn wait(&self, timeout: c_ulong) -> Result {
        // SAFETY: The resv is initialised as long as the buffer lives.
        let left = unsafe {
            // CAST: 2^63 ns are 292 years.
            let deadline = jiffies_to_ns(timeout as u64).min(i64::MAX as u64) as i64;

            bindings::dma_resv_set_deadline(
                (*self.gem()).resv,
                bindings::dma_resv_usage_DMA_RESV_USAGE_READ,
                bindings::ktime_get().saturating_add(deadline),
            );
            bindings::dma_resv_wait_timeout(
                (*self.gem()).resv,
                bindings::dma_resv_usage_DMA_RESV_USAGE_READ,
                true,
                timeout,
            )
        };

        match left {
            0 => Err(ETIME),
            left if left < 0 => Err(Error::from_errno(left as c_int)),
            _ => Ok(()),
        }
    }

    pub(super) fn as_ttm(&self) -> *mut bindings::ttm_buffer_object {
        self.bo.get()
    }

    fn gem(&self) -> *mut bindings::drm_gem_object {
        self.bo.get().cast()
    }

    /// The buffer around a TTM buffer object; [`None`] for a ghost, which TTM makes as a bare copy
    /// to keep the memory of a buffer that has moved on.
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
        _file: *mut bindings::drm_file,
    ) -> c_int {
        // SAFETY: The DRM core calls this with an object of ours that gets a handle.
        T::held(unsafe { &(*gem.cast::<Self>()).data }, Holder::Handle, 1);
        0
    }

    extern "C" fn close_callback(
        gem: *mut bindings::drm_gem_object,
        _file: *mut bindings::drm_file,
    ) {
        // SAFETY: The DRM core calls this with an object of ours whose handle goes.
        T::held(unsafe { &(*gem.cast::<Self>()).data }, Holder::Handle, -1);
    }

    extern "C" fn destroy_callback(bo: *mut bindings::ttm_buffer_object) {
        // SAFETY: TTM calls this once, when nothing uses the buffer any more. The box drops `data`
        // in place.
        unsafe {
            T::free_end(&*bo.cast::<Self>());
            bindings::drm_gem_object_release(bo.cast());
            drop(KBox::from_raw(bo.cast::<Self>()));
        }
    }
}

impl<T: Driver> Deref for Object<T> {
    type Target = T::Object;

    fn deref(&self) -> &T::Object {
        &self.data
    }
}

// SAFETY: The GEM count keeps the buffer alive.
unsafe impl<T: Driver> AlwaysRefCounted for Object<T> {
    fn inc_ref(&self) {
        // SAFETY: A shared reference means that the count is not zero.
        unsafe { bindings::drm_gem_object_get(self.gem()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference it holds; the GEM object is the first field.
        unsafe { bindings::drm_gem_object_put(obj.as_ptr().cast()) };
    }
}

// SAFETY: The GEM object is the first field, and its count is the one used above.
unsafe impl<T: Driver> gem::Object for Object<T> {
    fn as_gem(&self) -> *mut bindings::drm_gem_object {
        self.gem()
    }

    unsafe fn from_gem<'a>(ptr: *mut bindings::drm_gem_object) -> &'a Self {
        // SAFETY: By the trait's requirements.
        unsafe { &*ptr.cast() }
    }

    fn exported(&self, delta: i32) {
        T::held(&self.data, Holder::Export, delta);
    }
}
