// SPDX-License-Identifier: GPL-2.0

//! DRM devices: allocation, registration, and sections in which the device cannot be unplugged.
//!
//! C header: [`include/drm/drm_device.h`](srctree/include/drm/drm_device.h)

use core::{
    ops::Deref,
    ptr::{
        from_ref,
        NonNull, //
    }, //
};

use kernel::{
    device::{
        self,
        Bound, //
    },
    error::from_err_ptr,
    prelude::*,
    sync::aref::AlwaysRefCounted,
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};

use crate::{
    abstractions::drm::{
        files::Files,
        types::Types, //
    },
    bindings::raw as bindings, //
};

/// A `struct drm_device` of any driver.
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

    /// Makes memory of the device known to the dmem controller of cgroups, under this name and with
    /// this many bytes (`drmm_cgroup_register_region()`). A kernel without the controller has
    /// [`None`].
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    ///
    /// # Safety
    ///
    /// The functions of `ops` may be called with the device as their last argument until the DRM
    /// core has released all of it, so also after its data is gone. They may be called at any time
    /// at which a cgroup is charged for the memory.
    pub(crate) unsafe fn cgroup_region(
        &self,
        name: &CStr,
        size: u64,
        ops: &'static bindings::dmem_cgroup_ops,
    ) -> Result<Option<CgroupRegion>> {
        let init = bindings::dmem_cgroup_init {
            size,
            ops,
            reclaim_priv: self.as_raw().cast(),
        };

        // SAFETY: By the type invariant; the name and `init` are copied. The region lasts as long as
        // the device.
        let region = from_err_ptr(unsafe {
            bindings::drmm_cgroup_register_region(self.as_raw(), name.as_char_ptr(), &init)
        })?;

        Ok(NonNull::new(region).map(CgroupRegion))
    }

    /// The parent device, which may be unbound.
    pub(crate) fn parent(&self) -> &device::Device {
        // SAFETY: A DRM device holds a reference on its parent.
        unsafe { device::Device::from_raw((*self.as_raw()).dev) }
    }

    /// Enters a section in which the device stays plugged in (`drm_dev_enter()`).
    ///
    /// Returns [`None`] once the device is unplugged. The section may sleep; an unplug waits for
    /// its end.
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

/// Memory of a device that the dmem controller of cgroups knows.
///
/// # Invariants
///
/// The region exists as long as its device.
pub(crate) struct CgroupRegion(NonNull<bindings::dmem_cgroup_region>);

// SAFETY: A region belongs to no thread.
unsafe impl Send for CgroupRegion {}

impl CgroupRegion {
    /// The C region.
    pub(crate) fn as_raw(&self) -> *mut bindings::dmem_cgroup_region {
        self.0.as_ptr()
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
        // SAFETY: By the type invariant the device is not unplugged; `Registration` unplugs it, and
        // waits for this section, before the parent is unbound.
        unsafe { self.dev.parent().as_bound() }
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
/// All fields are initialised; the allocation belongs to the DRM core and is freed after the
/// last reference is gone.
#[repr(C)]
pub(crate) struct Device<T: Types> {
    pub(super) base: Base,
    pub(super) files: Files,
    pub(super) data: T::Data,
}

impl<T: Types> Device<T> {
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

    /// Tells user space that the device does not work any more, until the driver is unbound from it
    /// and bound again (`drm_dev_wedged_event()`). May sleep.
    pub(crate) fn wedged_until_rebind(&self) {
        const METHOD: c_ulong = bindings::DRM_WEDGE_RECOVERY_REBIND;

        // An event that cannot be sent is in the log.
        // SAFETY: The device is valid.
        let _ = unsafe {
            bindings::drm_dev_wedged_event(self.base.as_raw(), METHOD, core::ptr::null_mut())
        };
    }

    /// As [`Base::enter`], but returns the error for user space.
    ///
    /// # Errors
    ///
    /// `ENODEV` once the device is unplugged.
    pub(crate) fn enter(&self) -> Result<Entered<'_>> {
        self.base.enter().ok_or(ENODEV)
    }
}

impl<T: Types> Deref for Device<T> {
    type Target = T::Data;

    fn deref(&self) -> &T::Data {
        &self.data
    }
}

// SAFETY: The reference count is that of `base`, the first field. It keeps the allocation alive.
unsafe impl<T: Types> AlwaysRefCounted for Device<T> {
    fn inc_ref(&self) {
        self.base.inc_ref();
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference it holds; `base` is the first field.
        unsafe { Base::dec_ref(obj.cast()) };
    }
}
