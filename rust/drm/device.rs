// SPDX-License-Identifier: GPL-2.0

//! DRM devices: allocation, registration, and access that ends with the unplug.
//!
//! C header: [`include/drm/drm_device.h`](srctree/include/drm/drm_device.h)

use core::{
    alloc::Layout,
    mem::offset_of,
    ops::Deref,
    ptr::{
        addr_of_mut,
        from_ref,
        NonNull, //
    },
};

use kernel::{
    alloc::allocator::Kmalloc,
    device::{
        self,
        Bound, //
    },
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    },
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};

use crate::{
    bindings::raw as bindings,
    drm::{
        driver::Vtable,
        Driver,
        File, //
    }, //
};

/// A `struct drm_device` of whatever driver.
///
/// # Invariants
///
/// Wraps an initialised, reference-counted `struct drm_device`.
#[repr(transparent)]
pub(crate) struct Base(Opaque<bindings::drm_device>);

// SAFETY: A `drm_device` may be released from any thread.
unsafe impl Send for Base {}

// SAFETY: What `&Base` gives access to is either constant or synchronised by the DRM core.
unsafe impl Sync for Base {}

// SAFETY: `drm_dev_get()` and `drm_dev_put()` keep the device alive in between.
unsafe impl AlwaysRefCounted for Base {
    fn inc_ref(&self) {
        // SAFETY: A shared reference means that the count is not zero.
        unsafe { bindings::drm_dev_get(self.as_raw()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference it holds.
        unsafe { bindings::drm_dev_put(obj.as_ptr().cast()) };
    }
}

impl Base {
    /// # Safety
    ///
    /// `ptr` must point to a `struct drm_device` that stays valid for `'a`.
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut bindings::drm_device) -> &'a Self {
        // SAFETY: By this function's requirements; `Base` is transparent.
        unsafe { &*ptr.cast() }
    }

    /// The C device.
    pub(crate) fn as_raw(&self) -> *mut bindings::drm_device {
        self.0.get()
    }

    /// Enters a section in which the device stays plugged in (`drm_dev_enter()`).
    ///
    /// [`None`] once the device is unplugged. Sleeping inside is fine, but an unplug waits for it.
    pub(crate) fn enter(&self) -> Option<Entered<'_>> {
        let mut idx = 0;

        // SAFETY: By the type invariant.
        if !unsafe { bindings::drm_dev_enter(self.as_raw(), &mut idx) } {
            return None;
        }

        // INVARIANT: `drm_dev_enter()` has just succeeded and gave us `idx`.
        Some(Entered {
            dev: self,
            idx,
            _not_send: NotThreadSafe,
        })
    }
}

/// Proof that a device is plugged in, and that its parent is bound to the driver.
///
/// # Invariants
///
/// `idx` comes from a successful `drm_dev_enter()` of `dev` that was not yet left.
#[must_use = "the section ends when this is dropped"]
pub(crate) struct Entered<'a> {
    dev: &'a Base,
    idx: c_int,
    _not_send: NotThreadSafe,
}

impl Entered<'_> {
    /// The bound parent device.
    pub(crate) fn parent(&self) -> &device::Device<Bound> {
        // SAFETY: A DRM device holds a reference on its parent.
        let parent: &device::Device = unsafe { device::Device::from_raw((*self.dev.as_raw()).dev) };

        // SAFETY: By the type invariant the device is not unplugged; `Registration` unplugs it, and
        // waits for this section, before the parent is unbound.
        unsafe { parent.as_bound() }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::drm_dev_exit(self.idx) };
    }
}

/// A DRM device with the data of its driver.
///
/// # Invariants
///
/// `base` and `data` are initialised; the allocation belongs to the DRM core and is freed after the
/// last reference is gone.
#[repr(C)]
pub(crate) struct Device<T: Driver> {
    base: Base,
    data: T::Data,
}

impl<T: Driver> Device<T> {
    /// Allocates a device below `parent` (`__drm_dev_alloc()`).
    ///
    /// `data` gets the device before it has data, for what needs the device to be made.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, and what the initialiser fails with.
    pub(crate) fn new<I>(
        parent: &device::Device<Bound>,
        data: impl FnOnce(ARef<Base>) -> I,
    ) -> Result<ARef<Self>>
    where
        I: PinInit<T::Data, Error>,
    {
        let layout = Kmalloc::aligned_layout(Layout::new::<Self>());

        // SAFETY: `device::Device` is transparent over a valid `struct device`; the vtable is
        // static.
        let raw: *mut Self = from_err_ptr(unsafe {
            bindings::__drm_dev_alloc(
                from_ref(parent).cast_mut().cast(),
                const { &Vtable::<T>::BARE },
                layout.size(),
                offset_of!(Self, base),
            )
        })?
        .cast();

        // SAFETY: The allocation succeeded and holds a `drm_device` at `base`, whose only reference
        // is now ours.
        let base: ARef<Base> =
            unsafe { ARef::from_raw(NonNull::new_unchecked(addr_of_mut!((*raw).base))) };

        // SAFETY: `data` is uninitialised memory inside the allocation, which never moves. On
        // failure dropping `base` frees the device, whose vtable has no `release` yet.
        unsafe { pin_init::raw_try_init(addr_of_mut!((*raw).data), data(base.clone())) }?;

        // SAFETY: Nobody else knows the device yet.
        unsafe { (*base.as_raw()).driver = const { &Vtable::<T>::DRIVER } };

        // INVARIANT: All fields are initialised. The reference moves from `base` to the result.
        // SAFETY: `raw` is not null, and `base` held a reference.
        Ok(unsafe { ARef::from_raw(NonNull::new_unchecked(ARef::into_raw(base).as_ptr().cast())) })
    }

    /// # Safety
    ///
    /// `ptr` must be the `base` of a `Device<T>` that stays valid for `'a`.
    pub(super) unsafe fn from_raw<'a>(ptr: *mut bindings::drm_device) -> &'a Self {
        // SAFETY: By this function's requirements; `base` is the first field.
        unsafe { &*ptr.cast() }
    }

    /// # Safety
    ///
    /// `base` must be that of a `Device<T>`.
    pub(crate) unsafe fn from_base(base: &Base) -> &Self {
        // SAFETY: By this function's requirements; `base` is the first field.
        unsafe { &*from_ref(base).cast() }
    }

    /// The part every DRM device has.
    pub(crate) fn base(&self) -> &Base {
        &self.base
    }

    /// As [`Base::enter`], with the error user space is to see.
    ///
    /// # Errors
    ///
    /// `ENODEV` once the device is unplugged.
    pub(crate) fn enter(&self) -> Result<Entered<'_>> {
        self.base.enter().ok_or(ENODEV)
    }

    /// Calls `f` for each open file, in the order of opening, newest first.
    ///
    /// No file can be opened or closed meanwhile.
    ///
    /// # Errors
    ///
    /// Stops at the first error `f` returns, and returns it.
    pub(crate) fn for_each_file(&self, mut f: impl FnMut(&File<T>) -> Result) -> Result {
        let raw = self.base.as_raw();

        // SAFETY: By the type invariant the device, and so its mutex, is initialised.
        unsafe { bindings::mutex_lock(addr_of_mut!((*raw).filelist_mutex)) };

        let result = (|| {
            // SAFETY: The list does not change while we hold `filelist_mutex`.
            let head = unsafe { addr_of_mut!((*raw).filelist) };
            // SAFETY: As above.
            let mut link = unsafe { (*head).next };

            while link != head {
                // SAFETY: Every other entry of the list is the `lhead` of an open file of this
                // device, which stays open while we hold `filelist_mutex`.
                let file = unsafe {
                    File::<T>::from_raw(kernel::container_of!(link, bindings::drm_file, lhead))
                };

                f(file)?;
                // SAFETY: As above.
                link = unsafe { (*link).next };
            }
            Ok(())
        })();

        // SAFETY: Locked above.
        unsafe { bindings::mutex_unlock(addr_of_mut!((*raw).filelist_mutex)) };
        result
    }

    pub(super) extern "C" fn release_callback(ptr: *mut bindings::drm_device) {
        let this: *mut Self = ptr.cast();

        // SAFETY: The DRM core calls this once, after the last reference is gone. `base` it takes
        // down by itself afterwards.
        unsafe { core::ptr::drop_in_place(addr_of_mut!((*this).data)) };
    }
}

impl<T: Driver> Deref for Device<T> {
    type Target = T::Data;

    fn deref(&self) -> &T::Data {
        &self.data
    }
}

// SAFETY: As for `Base`, which is what is counted.
unsafe impl<T: Driver> AlwaysRefCounted for Device<T> {
    fn inc_ref(&self) {
        self.base.inc_ref();
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference it holds; `base` is the first field.
        unsafe { Base::dec_ref(obj.cast()) };
    }
}

/// A device that user space can open.
///
/// Dropping it unplugs the device: the nodes go, mappings are revoked, and it waits until every
/// [`Entered`] section is left.
///
/// # Invariants
///
/// The device is registered.
pub(crate) struct Registration<T: Driver>(ARef<Device<T>>);

impl<T: Driver> Registration<T> {
    /// Registers `dev` with user space (`drm_dev_register()`).
    ///
    /// `parent` shows that the driver is bound; keep the result no longer than it is.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `parent` is not the parent of `dev`; those of `drm_dev_register()`, after which
    /// nothing of `dev` is left visible.
    pub(crate) fn new(parent: &device::Device<Bound>, dev: ARef<Device<T>>) -> Result<Self> {
        // SAFETY: `dev` is a valid device.
        if unsafe { (*dev.base.as_raw()).dev } != from_ref(parent).cast_mut().cast() {
            return Err(EINVAL);
        }

        // SAFETY: `dev` is complete, and registered nowhere else: a second call fails on its minor.
        to_result(unsafe { bindings::drm_dev_register(dev.base.as_raw(), 0) })?;

        // INVARIANT: `drm_dev_register()` succeeded.
        Ok(Self(dev))
    }
}

impl<T: Driver> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::drm_dev_unplug(self.0.base.as_raw()) };
    }
}
