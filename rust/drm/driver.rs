// SPDX-License-Identifier: GPL-2.0

//! What a driver tells the DRM core about itself.
//!
//! C header: [`include/drm/drm_drv.h`](srctree/include/drm/drm_drv.h)

use kernel::{
    module::{
        this_module,
        ModuleMetadata, //
    },
    prelude::*,
    str::as_char_ptr_in_const_context, //
};

use crate::{
    bindings::raw as bindings,
    drm::{
        debugfs,
        file,
        gem,
        ioctl,
        prime::Exports,
        Device, //
    }, //
};

/// What user space reads with `DRM_IOCTL_VERSION`.
pub(crate) struct DriverInfo {
    /// Raised when something that worked no longer does.
    pub(crate) major: i32,
    /// Raised when something is added.
    pub(crate) minor: i32,
    /// Raised when something is mended.
    pub(crate) patchlevel: i32,
    /// The driver's name.
    pub(crate) name: &'static CStr,
    /// One line about it.
    pub(crate) desc: &'static CStr,
}

/// A GEM driver with a render node.
pub(crate) trait Driver: Sized + 'static {
    /// The module the driver's code is in.
    type Module: ModuleMetadata;

    /// Kept with each device, from its allocation until its last user is gone: after the parent
    /// device was unbound, as long as files are open.
    type Data: Send + Sync;

    /// Kept with each open file.
    type File: Send + Sync;

    /// The driver's GEM objects.
    type Object: gem::Object;

    /// What user space reads about the driver.
    const INFO: DriverInfo;

    /// The driver's own ioctls, as [`ioctl::table`] checks them.
    const IOCTLS: &'static [ioctl::Descriptor];

    /// A client opens the device.
    fn open(dev: &Device<Self>) -> Result<Pin<KBox<Self::File>>>;

    /// The device's debugfs directory was made.
    fn debugfs_init(dir: &debugfs::Dir<'_, Self>);
}

const GEM_FOPS: bindings::file_operations = bindings::file_operations {
    open: Some(bindings::drm_open),
    release: Some(bindings::drm_release),
    unlocked_ioctl: Some(bindings::drm_ioctl),
    #[cfg(CONFIG_COMPAT)]
    compat_ioctl: Some(bindings::drm_compat_ioctl),
    #[cfg(not(CONFIG_COMPAT))]
    compat_ioctl: None,
    poll: Some(bindings::drm_poll),
    read: Some(bindings::drm_read),
    llseek: Some(bindings::noop_llseek),
    mmap: Some(bindings::drm_gem_mmap),
    fop_flags: bindings::FOP_UNSIGNED_OFFSET,
    ..pin_init::zeroed()
};

/// The C driver structures of `T`.
pub(super) struct Vtable<T: Driver>(core::marker::PhantomData<T>);

impl<T: Driver> Vtable<T> {
    const FOPS: bindings::file_operations = bindings::file_operations {
        owner: this_module::<T::Module>().as_ptr(),
        ..GEM_FOPS
    };

    /// `struct drm_driver` of a device whose data is complete.
    pub(super) const DRIVER: bindings::drm_driver = bindings::drm_driver {
        open: Some(file::open_callback::<T>),
        postclose: Some(file::postclose_callback::<T>),
        release: Some(Device::<T>::release_callback),
        debugfs_init: Some(debugfs::init_callback::<T>),
        gem_prime_import: Some(Exports::<T>::import_callback),
        ..Self::BARE
    };

    /// `struct drm_driver` of a device whose data is not there yet.
    pub(super) const BARE: bindings::drm_driver = bindings::drm_driver {
        major: T::INFO.major,
        minor: T::INFO.minor,
        patchlevel: T::INFO.patchlevel,
        name: as_char_ptr_in_const_context(T::INFO.name).cast_mut(),
        desc: as_char_ptr_in_const_context(T::INFO.desc).cast_mut(),
        driver_features: bindings::drm_driver_feature_DRIVER_GEM
            | bindings::drm_driver_feature_DRIVER_RENDER,
        ioctls: ioctl::as_raw(T::IOCTLS),
        num_ioctls: T::IOCTLS.len() as c_int,
        fops: &Self::FOPS,
        ..pin_init::zeroed()
    };
}
