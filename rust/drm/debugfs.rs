// SPDX-License-Identifier: GPL-2.0

//! Reports and commands in a device's debugfs directory.
//!
//! C header: [`include/drm/drm_debugfs.h`](srctree/include/drm/drm_debugfs.h)

use core::marker::PhantomData;

use kernel::{
    error::from_result,
    module::this_module,
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

use crate::{
    bindings::raw as bindings,
    drm::{
        Device,
        Driver,
        Printer, //
    }, //
};

/// A file that holds a report, made anew at each reading.
pub(crate) trait Report: 'static {
    /// The driver it belongs to.
    type Driver: Driver;

    /// The file's name.
    const NAME: &'static CStr;

    /// Writes the report.
    ///
    /// # Errors
    ///
    /// Go to the reader.
    fn show(dev: &Device<Self::Driver>, p: &Printer) -> Result;
}

/// A file that is written to have something done.
pub(crate) trait Command: 'static {
    /// The driver it belongs to.
    type Driver: Driver;

    /// The file's name.
    const NAME: &'static CStr;

    /// Does it. `words` is what was written.
    ///
    /// # Errors
    ///
    /// Go to the writer.
    fn run(dev: &Device<Self::Driver>, words: &str) -> Result;
}

/// A device's directory.
pub(crate) struct Dir<'a, T: Driver> {
    dev: *mut bindings::drm_device,
    _phantom: PhantomData<&'a T>,
}

impl<T: Driver> Dir<'_, T> {
    /// Adds a report that only root may read. It goes with the directory, when the device is
    /// unplugged. Failures are debugfs's own and of no consequence.
    pub(crate) fn report<R: Report<Driver = T>>(&self) {
        self.file(R::NAME, 0o400, const { &Reading::<R>::FOPS });
    }

    /// Adds a file that only root may write to; otherwise as [`report`](Dir::report).
    pub(crate) fn command<C: Command<Driver = T>>(&self) {
        self.file(C::NAME, 0o200, const { &Writing::<C>::FOPS });
    }

    fn file(&self, name: &CStr, mode: u16, fops: &'static bindings::file_operations) {
        // SAFETY: The device is being registered and has a directory. The file goes before the
        // device does, and debugfs waits for its users.
        unsafe {
            bindings::debugfs_create_file_full(
                name.as_char_ptr(),
                mode,
                (*self.dev).debugfs_root,
                self.dev.cast(),
                core::ptr::null(),
                fops,
            )
        };
    }
}

struct Writing<C: Command>(PhantomData<C>);

impl<C: Command> Writing<C> {
    const FOPS: bindings::file_operations = bindings::file_operations {
        owner: this_module::<<C::Driver as Driver>::Module>().as_ptr(),
        open: Some(bindings::simple_open),
        write: Some(Self::write),
        llseek: Some(bindings::noop_llseek),
        ..pin_init::zeroed()
    };

    extern "C" fn write(
        file: *mut bindings::file,
        buf: *const c_char,
        len: usize,
        _pos: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: `simple_open()` took it from where `file()` put the device. debugfs keeps the
        // file, and with it the device, while it is being written.
        let dev = unsafe { Device::<C::Driver>::from_raw((*file).private_data.cast()) };

        let result = (|| {
            let mut words = [0; 64];
            let words = words.get_mut(..len).ok_or(EINVAL)?;

            UserSlice::new(UserPtr::from_ptr(buf.cast_mut().cast()), len)
                .reader()
                .read_slice(words)?;
            C::run(dev, core::str::from_utf8(words)?.trim())
        })();

        match result {
            // CAST: Checked to be at most 64.
            Ok(()) => len as isize,
            // CAST: An errno.
            Err(err) => err.to_errno() as isize,
        }
    }
}

struct Reading<R: Report>(PhantomData<R>);

impl<R: Report> Reading<R> {
    const FOPS: bindings::file_operations = bindings::file_operations {
        owner: this_module::<<R::Driver as Driver>::Module>().as_ptr(),
        open: Some(Self::open),
        read: Some(bindings::seq_read),
        llseek: Some(bindings::seq_lseek),
        release: Some(bindings::single_release),
        ..pin_init::zeroed()
    };

    extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: `file()` put the device there.
        unsafe { bindings::single_open(file, Some(Self::show), (*inode).i_private) }
    }

    extern "C" fn show(m: *mut bindings::seq_file, _: *mut c_void) -> c_int {
        // SAFETY: `open()` put the device there, and debugfs keeps the file, and with it the
        // device, while it is being read. Nobody else uses `m` meanwhile.
        let (dev, mut printer) = unsafe {
            (
                Device::<R::Driver>::from_raw((*m).private.cast()),
                bindings::drm_seq_file_printer(m),
            )
        };

        // SAFETY: Just made, and on our stack.
        from_result(|| R::show(dev, unsafe { Printer::from_raw(&mut printer) }).map(|()| 0))
    }
}

pub(super) extern "C" fn init_callback<T: Driver>(minor: *mut bindings::drm_minor) {
    T::debugfs_init(&Dir {
        // SAFETY: The DRM core calls this for a minor of a device of `T`.
        dev: unsafe { (*minor).dev },
        _phantom: PhantomData,
    });
}
