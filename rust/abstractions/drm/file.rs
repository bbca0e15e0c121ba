// SPDX-License-Identifier: GPL-2.0

//! Open DRM files: the client behind each, and its GEM handles.
//!
//! C header: [`include/drm/drm_file.h`](srctree/include/drm/drm_file.h)

use core::{
    marker::PhantomData,
    ptr::{
        addr_of_mut,
        NonNull, //
    }, //
};

use kernel::{
    error::to_result,
    prelude::*,
    sync::rcu,
    types::Opaque, //
};

use crate::{
    abstractions::{
        drm::{
            device::Device,
            gem::{
                Object as _,
                Ref, //
            },
            types::Types, //
        },
        task::printable, //
    },
    bindings::raw as bindings, //
};

/// An open file of a device of `T`.
///
/// # Invariants
///
/// Wraps a `struct drm_file` that is open on a device of `T`; its `driver_priv` holds a `T::File`.
#[repr(transparent)]
pub(crate) struct File<T: Types>(Opaque<bindings::drm_file>, PhantomData<T>);

/// The process that uses a file.
pub(crate) struct Client {
    /// Process ID in the initial namespace, 0 if the process is gone.
    pub(crate) pid: i32,
    /// The name of the process without control characters, padded with zeroes.
    pub(crate) comm: [u8; 16],
    /// The number of its cgroup, which is that of the inode of its folder; 0 if the process is gone.
    pub(crate) cgroup: u64,
}

/// The name that a client has given itself, padded with zeroes. The last byte is always zero.
pub(crate) type ClientName = [u8; 64];

impl Client {
    /// The name of the process, `-` if it is gone.
    pub(crate) fn comm(&self) -> &str {
        CStr::from_bytes_until_nul(&self.comm)
            .ok()
            .and_then(|comm| comm.to_str().ok())
            .unwrap_or("-")
    }
}

impl<T: Types> File<T> {
    /// # Safety
    ///
    /// `ptr` must point to a `struct drm_file` open on a device of `T` that stays open for `'a`.
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut bindings::drm_file) -> &'a Self {
        // INVARIANT: By this function's requirements.
        // SAFETY: By this function's requirements the file is valid; `File` is transparent.
        unsafe { &*ptr.cast() }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::drm_file {
        self.0.get()
    }

    /// The driver's data of the file.
    pub(crate) fn data(&self) -> &T::File {
        // SAFETY: By the type invariant.
        unsafe { &*(*self.as_raw()).driver_priv.cast() }
    }

    /// The DRM core's number for this open file, as fdinfo shows it.
    pub(crate) fn client_id(&self) -> u64 {
        // SAFETY: Constant while the file is open.
        unsafe { (*self.as_raw()).client_id }
    }

    /// The process that opened the file, or the last one it was passed to.
    pub(crate) fn client(&self) -> Client {
        let mut client = Client {
            pid: 0,
            comm: [0; 16],
            cgroup: 0,
        };
        client.comm[0] = b'-';

        let _rcu = rcu::read_lock();

        // SAFETY: `pid` is an RCU-protected pointer that is never null while the file is open, and
        // the read-side section lasts until we return.
        let task = unsafe {
            let pid = core::ptr::read_volatile(addr_of_mut!((*self.as_raw()).pid));

            bindings::pid_task(pid, bindings::pid_type_PIDTYPE_TGID)
        };
        if let Some(task) = NonNull::new(task) {
            // SAFETY: The task cannot be freed inside the read-side section. `comm` always holds a
            // terminator at its end, and a torn read of a name is still a name.
            unsafe {
                client.cgroup = bindings::task_cgroup_id(task.as_ptr());
                client.pid = (*task.as_ptr()).tgid;
                client.comm = printable(core::ptr::read_volatile(
                    addr_of_mut!((*task.as_ptr()).comm).cast(),
                ));
            }
        }
        client
    }

    /// The name that the client has given itself.
    pub(crate) fn client_name(&self) -> ClientName {
        let mut copy = [0; size_of::<ClientName>()];
        let raw = self.as_raw();

        // SAFETY: The lock is initialised while the file is open, and protects the name, which ends
        // with a zero.
        unsafe {
            bindings::mutex_lock(addr_of_mut!((*raw).client_name_lock));
            if let Some(name) = NonNull::new((*raw).client_name.cast_mut()) {
                let name = CStr::from_char_ptr(name.as_ptr()).to_bytes();
                let length = name.len().min(copy.len() - 1);

                copy[..length].copy_from_slice(&name[..length]);
            }
            bindings::mutex_unlock(addr_of_mut!((*raw).client_name_lock));
        }
        copy
    }

    /// Makes a handle for `object` (`drm_gem_handle_create()`). The handle holds a reference of its
    /// own.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `ENOSPC`.
    pub(crate) fn create_handle(&self, object: &T::Object) -> Result<u32> {
        let mut handle = 0;

        // SAFETY: Both are valid by their type invariants.
        to_result(unsafe {
            bindings::drm_gem_handle_create(self.as_raw(), object.as_gem(), &mut handle)
        })?;
        Ok(handle)
    }

    /// Finds the object a handle stands for.
    ///
    /// # Errors
    ///
    /// `ENOENT` if this file has no such handle.
    pub(crate) fn lookup(&self, handle: u32) -> Result<Ref<'_, T::Object>> {
        // SAFETY: Valid by the type invariant.
        let ptr = unsafe { bindings::drm_gem_object_lookup(self.as_raw(), handle) };

        if ptr.is_null() {
            return Err(ENOENT);
        }

        // SAFETY: Every object of a device of `T` is a `T::Object`; the lookup took a reference for
        // us, and an open file keeps its device.
        Ok(unsafe { Ref::from_raw(NonNull::from(T::Object::from_gem(ptr))) })
    }

    /// The first handle that is not below `from`, and the object it stands for, with a reference for
    /// the caller.
    fn next_handle(&self, from: u32) -> Option<(u32, NonNull<T::Object>)> {
        let raw = self.as_raw();
        let mut id = c_int::try_from(from).ok()?;

        // SAFETY: The lock and the IDR are initialised while the file is open, and the IDR is
        // looked at under its lock. A handle holds a reference on its object.
        let object = unsafe {
            bindings::spin_lock(addr_of_mut!((*raw).table_lock));
            let object: Option<NonNull<bindings::drm_gem_object>> = NonNull::new(
                bindings::idr_get_next(addr_of_mut!((*raw).object_idr), &mut id).cast(),
            );
            if let Some(object) = object {
                bindings::drm_gem_object_get(object.as_ptr());
            }
            bindings::spin_unlock(addr_of_mut!((*raw).table_lock));
            object
        }?;

        // SAFETY: Every object of a device of `T` is a `T::Object`; we have just got a reference.
        let object = NonNull::from(unsafe { T::Object::from_gem(object.as_ptr()) });

        // CAST: Handles are positive.
        Some((id as u32, object))
    }
}

impl<T: Types> Device<T> {
    /// Has the events of an open file of this device go to it.
    pub(crate) fn open_events(&self, file: &File<T>) {
        let dev = NonNull::from(self.base()).cast();

        // SAFETY: Who has a `File` has it open, so that it is not being released: then it is removed
        // first. The number is that of a file of this device, or of none.
        unsafe { self.files.open_events(file.client_id(), dev) };
    }

    /// Calls `f` with an open file: with the one that was opened last before the file with the
    /// number `before`, or with the one that was opened last of all.
    ///
    /// No file can be opened or closed meanwhile, so `f` should not take long.
    pub(crate) fn next_file<R>(
        &self,
        before: Option<u64>,
        f: impl FnOnce(&File<T>) -> R,
    ) -> Option<R> {
        self.files.next(before, |file| {
            // SAFETY: The files of a device of `T` stay open during the call.
            f(unsafe { File::from_raw(file) })
        })
    }

    /// The first handle that is not below `from` of the open file with the number `client_id`, and the
    /// object it stands for. No lock is held when it returns.
    pub(crate) fn next_handle(
        &self,
        client_id: u64,
        from: u32,
    ) -> Option<(u32, Ref<'_, T::Object>)> {
        let (handle, object) = self.files.get(client_id, |file| {
            // SAFETY: The files of a device of `T` stay open during the call.
            unsafe { File::<T>::from_raw(file) }.next_handle(from)
        })??;

        // SAFETY: The reference is ours, on an object of this device.
        Some((handle, unsafe { Ref::from_raw(object) }))
    }
}
