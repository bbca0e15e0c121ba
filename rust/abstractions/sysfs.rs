// SPDX-License-Identifier: GPL-2.0

//! Files in a device's folder of sysfs.
//!
//! C header: [`include/linux/device.h`](srctree/include/linux/device.h)

use core::ptr::{
    from_ref,
    NonNull, //
};

use kernel::{
    device::{
        self,
        Bound, //
    },
    error::to_result,
    prelude::*,
    str::as_char_ptr_in_const_context,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    }, //
};

use crate::bindings::raw as bindings;

/// A file that shows a number.
pub(crate) struct Number<T> {
    /// Its name.
    pub(crate) name: &'static CStr,
    /// What it shows.
    pub(crate) read: fn(&T) -> u64,
}

/// A file as the C side knows it.
#[repr(C)]
struct File<T> {
    attr: bindings::device_attribute,
    data: NonNull<T>,
    read: fn(&T) -> u64,
}

impl<T> File<T> {
    fn new(number: &Number<T>, data: NonNull<T>) -> Self {
        let mut attr = bindings::device_attribute::default();

        attr.attr.name = as_char_ptr_in_const_context(number.name);
        attr.attr.mode = 0o444;
        #[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
        {
            attr.attr.key = kernel::sync::static_lock_class!().as_ptr();
        }
        attr.__bindgen_anon_1.show = Some(Self::show_callback);
        Self {
            attr,
            data,
            read: number.read,
        }
    }

    extern "C" fn show_callback(
        _dev: *mut bindings::device,
        attr: *mut bindings::device_attribute,
        buf: *mut c_char,
    ) -> isize {
        // SAFETY: The attribute is the first field of a file of ours, which is removed before it
        // and its data are freed. The kernel gives us a page.
        let length = unsafe {
            let file = &*attr.cast::<Self>();
            let value = (file.read)(file.data.as_ref());

            bindings::sysfs_emit(buf, c"%llu\n".as_char_ptr(), value)
        };

        // CAST: Never negative, and less than a page.
        length as isize
    }
}

/// Files of a device that each show a number of `T`. Dropping it removes them.
///
/// # Invariants
///
/// The first `created` of `files` exist in the folder of `dev`, and point to `_data`.
pub(crate) struct Numbers<'bound, T: AlwaysRefCounted> {
    dev: &'bound device::Device<Bound>,
    files: KVec<File<T>>,
    created: usize,
    _data: ARef<T>,
}

// SAFETY: The pointers in `files` are to the data, which may be used from any thread.
unsafe impl<T: AlwaysRefCounted + Send + Sync> Send for Numbers<'_, T> {}

impl<'bound, T: AlwaysRefCounted + Sync> Numbers<'bound, T> {
    /// Makes the files (`device_create_file()`).
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EEXIST` if there is such a file.
    pub(crate) fn new(
        dev: &'bound device::Device<Bound>,
        data: ARef<T>,
        numbers: &[Number<T>],
    ) -> Result<Self> {
        let mut files = KVec::with_capacity(numbers.len(), GFP_KERNEL)?;

        for number in numbers {
            files.push(File::new(number, NonNull::from(&*data)), GFP_KERNEL)?;
        }

        // INVARIANT: There is none yet.
        let mut this = Self {
            dev,
            files,
            created: 0,
            _data: data,
        };
        for file in &this.files {
            // SAFETY: The device is valid, and the file stays where it is until it is removed.
            to_result(unsafe {
                bindings::device_create_file(from_ref(dev).cast_mut().cast(), &file.attr)
            })?;
            // INVARIANT: One more exists.
            this.created += 1;
        }
        Ok(this)
    }
}

impl<T: AlwaysRefCounted> Drop for Numbers<'_, T> {
    fn drop(&mut self) {
        for file in &self.files[..self.created] {
            // SAFETY: By the type invariant. This waits until nobody reads the file.
            unsafe {
                bindings::device_remove_file(from_ref(self.dev).cast_mut().cast(), &file.attr)
            };
        }
    }
}
