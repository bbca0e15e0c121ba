// SPDX-License-Identifier: GPL-2.0

//! `struct drm_driver` as a trait.
//!
//! C header: [`include/drm/drm_drv.h`](srctree/include/drm/drm_drv.h)

use core::{
    alloc::Layout,
    marker::PhantomData,
    mem::offset_of,
    ptr::{
        addr_of_mut,
        from_ref,
        NonNull, //
    }, //
};

use kernel::{
    alloc::allocator::Kmalloc,
    device::{
        self,
        Bound, //
    },
    error::{
        from_err_ptr,
        from_result,
        to_result, //
    },
    module::this_module,
    prelude::*,
    str::as_char_ptr_in_const_context,
    sync::{
        aref::ARef,
        Arc, //
    }, //
};

use crate::{
    abstractions::drm::{
        debugfs,
        device::{
            Base,
            Device, //
        },
        dumb::{
            self,
            CreateDumb, //
        },
        event::EventSink,
        fdinfo::{
            self,
            ShowFdinfo, //
        },
        file::File,
        files::{
            FileMemory,
            Files, //
        },
        ioctl,
        prime::{
            Exported,
            Exports,
            ImportForeign, //
        },
        types::Types, //
    },
    bindings::raw as bindings, //
};

/// What user space reads with `DRM_IOCTL_VERSION`.
pub(crate) struct DriverInfo {
    /// Raised by an incompatible change.
    pub(crate) major: i32,
    /// Raised by an addition.
    pub(crate) minor: i32,
    /// Raised by a fix.
    pub(crate) patchlevel: i32,
    /// The driver's name.
    pub(crate) name: &'static CStr,
    /// One line about it.
    pub(crate) desc: &'static CStr,
}

/// A GEM driver with a render node, and with the DRM core's syncobjs.
pub(crate) trait Driver:
    Types<Object: Exported> + ImportForeign + CreateDumb + ShowFdinfo
{
    /// What user space reads about the driver.
    const INFO: DriverInfo;

    /// The driver's own ioctls, as [`ioctl::table`] checks them.
    const IOCTLS: &'static [ioctl::Descriptor] = &[];

    /// Called when a client opens the device; creates the data of the file. `events` go there after
    /// [`Device::open_events`].
    fn open(dev: &Device<Self>, events: Arc<EventSink>) -> Result<Pin<KBox<Self::File>>>;

    /// Called when a file may have room for further events.
    fn events_read(_file: &File<Self>) {}

    /// Called when the last reference on the device is gone, before its data is dropped. Work that
    /// still uses the data, or buffers of the device, has to end here. May sleep.
    fn release(dev: &Device<Self>);

    /// Called when the device's debugfs directory was created, to add files to it.
    fn debugfs_init(_dir: &debugfs::Dir<'_, Self>) {}
}

const GEM_FOPS: bindings::file_operations = bindings::file_operations {
    open: Some(bindings::drm_open),
    unlocked_ioctl: Some(bindings::drm_ioctl),
    #[cfg(CONFIG_COMPAT)]
    compat_ioctl: Some(bindings::drm_compat_ioctl),
    #[cfg(not(CONFIG_COMPAT))]
    compat_ioctl: None,
    llseek: Some(bindings::noop_llseek),
    mmap: Some(bindings::drm_gem_mmap),
    show_fdinfo: Some(bindings::drm_show_fdinfo),
    fop_flags: bindings::FOP_UNSIGNED_OFFSET,
    ..pin_init::zeroed()
};

/// The C driver structures of `T`.
pub(super) struct Vtable<T: Driver>(PhantomData<T>);

impl<T: Driver> Vtable<T> {
    const FOPS: bindings::file_operations = bindings::file_operations {
        owner: this_module::<T::Module>().as_ptr(),
        release: Some(release_callback::<T>),
        read: Some(read_callback::<T>),
        poll: Some(poll_callback::<T>),
        ..GEM_FOPS
    };

    /// `struct drm_driver` of a device whose data is complete.
    pub(super) const DRIVER: bindings::drm_driver = bindings::drm_driver {
        open: Some(open_callback::<T>),
        postclose: Some(postclose_callback::<T>),
        release: Some(Device::<T>::release_callback),
        debugfs_init: Some(debugfs_init_callback::<T>),
        dumb_create: Some(dumb::create_callback::<T>),
        show_fdinfo: Some(fdinfo::show_callback::<T>),
        gem_prime_import: Some(Exports::<T>::import_callback),
        ..Self::BARE
    };

    /// `struct drm_driver` of a device whose data is not initialised yet. It has no callback that
    /// uses the data.
    pub(super) const BARE: bindings::drm_driver = bindings::drm_driver {
        major: T::INFO.major,
        minor: T::INFO.minor,
        patchlevel: T::INFO.patchlevel,
        name: as_char_ptr_in_const_context(T::INFO.name).cast_mut(),
        desc: as_char_ptr_in_const_context(T::INFO.desc).cast_mut(),
        driver_features: bindings::drm_driver_feature_DRIVER_GEM
            | bindings::drm_driver_feature_DRIVER_RENDER
            | bindings::drm_driver_feature_DRIVER_SYNCOBJ
            | bindings::drm_driver_feature_DRIVER_SYNCOBJ_TIMELINE,
        ioctls: ioctl::as_raw(T::IOCTLS),
        num_ioctls: T::IOCTLS.len() as c_int,
        fops: &Self::FOPS,
        ..pin_init::zeroed()
    };
}

impl<T: Driver> Device<T> {
    /// Allocates a device below `parent` (`__drm_dev_alloc()`).
    ///
    /// `data` is called with the device before its data is initialised, for fields that need the
    /// device themselves.
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

        // SAFETY: `files` is uninitialised memory inside the allocation, which never moves.
        unsafe { pin_init::raw_init(addr_of_mut!((*raw).files), Files::new()) };

        // SAFETY: Nobody else knows the device yet.
        unsafe { (*base.as_raw()).driver = const { &Vtable::<T>::DRIVER } };

        // INVARIANT: All fields are initialised. The reference moves from `base` to the result.
        // SAFETY: `raw` is not null, and `base` held a reference.
        Ok(unsafe { ARef::from_raw(NonNull::new_unchecked(ARef::into_raw(base).as_ptr().cast())) })
    }

    extern "C" fn release_callback(ptr: *mut bindings::drm_device) {
        let this: *mut Self = ptr.cast();

        // SAFETY: The DRM core calls this once, after the last reference is gone. `base` it takes
        // down by itself afterwards.
        unsafe {
            T::release(&*this);
            core::ptr::drop_in_place(addr_of_mut!((*this).data));
            core::ptr::drop_in_place(addr_of_mut!((*this).files));
        }
    }
}

/// A registered device, which user space can open.
///
/// Dropping it unplugs the device (`drm_dev_unplug()`): the device nodes are removed, the pages of
/// user-space mappings are unmapped, and every [`Entered`](super::Entered) section is waited for.
///
/// # Invariants
///
/// The device is registered.
pub(crate) struct Registration<T: Driver>(ARef<Device<T>>);

impl<T: Driver> Registration<T> {
    /// Registers `dev` with user space (`drm_dev_register()`).
    ///
    /// `parent` is the proof that the driver is bound. The result must be dropped before it is
    /// unbound.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `parent` is not the parent of `dev`; those of `drm_dev_register()`, after which
    /// nothing of `dev` is left visible.
    pub(crate) fn new(parent: &device::Device<Bound>, dev: ARef<Device<T>>) -> Result<Self> {
        // SAFETY: `dev` is a valid device.
        if unsafe { (*dev.base().as_raw()).dev } != from_ref(parent).cast_mut().cast() {
            return Err(EINVAL);
        }

        // SAFETY: `dev` is complete, and registered nowhere else: a second call fails on its minor.
        to_result(unsafe { bindings::drm_dev_register(dev.base().as_raw(), 0) })?;

        // INVARIANT: `drm_dev_register()` succeeded.
        Ok(Self(dev))
    }
}

impl<T: Driver> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::drm_dev_unplug(self.0.base().as_raw()) };
    }
}

extern "C" fn open_callback<T: Driver>(
    dev: *mut bindings::drm_device,
    file: *mut bindings::drm_file,
) -> c_int {
    from_result(|| {
        // SAFETY: The DRM core opens files of a device of `T` only, which lives meanwhile.
        let dev = unsafe { Device::<T>::from_raw(dev) };
        let events = EventSink::new()?;
        let data = T::open(dev, events.clone())?;
        let memory = FileMemory::new()?;

        // SAFETY: `file` is being opened and not shared yet, and complete but for `driver_priv`.
        // The data stays pinned: only `postclose_callback` takes it back. The handles of a file are
        // released after `release_callback`; a file that could not be opened in the end has none,
        // and goes after `postclose_callback`.
        unsafe {
            (*file).driver_priv = KBox::into_raw(Pin::into_inner_unchecked(data)).cast();
            dev.files.add(memory, NonNull::new_unchecked(file), events);
        }
        Ok(0)
    })
}

/// The DRM file behind an open file of a device of `T`.
///
/// # Safety
///
/// `filp` must be such a file, and stay open for `'a`.
unsafe fn file<'a, T: Driver>(filp: *mut bindings::file) -> &'a File<T> {
    // SAFETY: `drm_open()` put the DRM file there.
    unsafe { File::from_raw((*filp).private_data.cast()) }
}

extern "C" fn read_callback<T: Driver>(
    filp: *mut bindings::file,
    buffer: *mut c_char,
    count: usize,
    offset: *mut bindings::loff_t,
) -> isize {
    // SAFETY: Called for an open file of a device of `T`, with what is the caller's.
    unsafe {
        let ret = bindings::drm_read(filp, buffer, count, offset);

        T::events_read(file::<T>(filp));
        ret
    }
}

extern "C" fn poll_callback<T: Driver>(
    filp: *mut bindings::file,
    wait: *mut bindings::poll_table_struct,
) -> bindings::__poll_t {
    // SAFETY: Called for an open file of a device of `T`, with what is the caller's.
    unsafe {
        T::events_read(file::<T>(filp));
        bindings::drm_poll(filp, wait)
    }
}

extern "C" fn release_callback<T: Driver>(
    inode: *mut bindings::inode,
    filp: *mut bindings::file,
) -> c_int {
    // SAFETY: `drm_open()` put the DRM file there, which keeps its minor and its device.
    unsafe {
        let file: *mut bindings::drm_file = (*filp).private_data.cast();

        Device::<T>::from_raw((*(*file).minor).dev)
            .files
            .remove((*file).client_id);
        bindings::drm_release(inode, filp)
    }
}

extern "C" fn postclose_callback<T: Driver>(
    dev: *mut bindings::drm_device,
    file: *mut bindings::drm_file,
) {
    // SAFETY: `open_callback` put the data there, and nobody uses the file once it is removed. The
    // device lives meanwhile.
    unsafe {
        Device::<T>::from_raw(dev).files.remove((*file).client_id);
        drop(KBox::<T::File>::from_raw((*file).driver_priv.cast()));
    }
}

extern "C" fn debugfs_init_callback<T: Driver>(minor: *mut bindings::drm_minor) {
    // SAFETY: The DRM core calls this for a minor of a device of `T`, after it made the directory.
    T::debugfs_init(&unsafe { debugfs::Dir::from_raw((*minor).dev) });
}
