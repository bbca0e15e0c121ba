// SPDX-License-Identifier: GPL-2.0

//! Files in a device's debugfs directory: reports, lists, commands and settings.
//!
//! [`kernel::debugfs`] makes directories of its own only: it cannot add files to the directory that
//! DRM makes for a card, which goes away with the card.
//!
//! C header: [`include/drm/drm_debugfs.h`](srctree/include/drm/drm_debugfs.h)

mod list;

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
    abstractions::drm::{
        device::Device,
        printer::{
            drm_print,
            Printer, //
        },
        types::Types, //
    },
    bindings::raw as bindings, //
};

pub(crate) use self::list::List;

/// A read-only file. Its content is generated each time it is opened and read, in one go, so it has
/// to be short. What grows with the number of buffers or clients is a [`List`].
pub(crate) trait Report: 'static {
    /// The driver it belongs to.
    type Driver: Types;

    /// The file's name.
    const NAME: &'static CStr;

    /// Writes the report.
    ///
    /// # Errors
    ///
    /// Any. `read()` fails with it.
    fn show(dev: &Device<Self::Driver>, p: &Printer) -> Result;
}

/// A write-only file. Writing to it runs a command.
pub(crate) trait Command: 'static {
    /// The driver it belongs to.
    type Driver: Types;

    /// The file's name.
    const NAME: &'static CStr;

    /// Runs the command. `words` is the text that was written, without white space around it.
    ///
    /// # Errors
    ///
    /// Any. `write()` fails with it.
    fn run(dev: &Device<Self::Driver>, words: &str) -> Result;
}

/// A file that reads as a number and can be written.
pub(crate) trait Setting: 'static {
    /// The driver it belongs to.
    type Driver: Types;

    /// The file's name, which ends with the unit.
    const NAME: &'static CStr;

    /// The number.
    fn get(dev: &Device<Self::Driver>) -> u64;

    /// Sets the number.
    ///
    /// # Errors
    ///
    /// Any. `write()` fails with it.
    fn set(dev: &Device<Self::Driver>, value: u64) -> Result;
}

/// Parses a number: decimal, or hexadecimal after `0x`. A sign is not allowed.
///
/// # Errors
///
/// `EINVAL`.
pub(crate) fn parse_number(word: &str) -> Result<u64> {
    let (digits, radix) = match word.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (word, 10),
    };

    // `from_str_radix()` accepts a sign.
    if digits.starts_with('+') {
        return Err(EINVAL);
    }
    u64::from_str_radix(digits, radix).map_err(|_| EINVAL)
}

/// A device's directory.
pub(crate) struct Dir<'a, T: Types> {
    dev: *mut bindings::drm_device,
    _phantom: PhantomData<&'a T>,
}

impl<T: Types> Dir<'_, T> {
    /// # Safety
    ///
    /// `dev` must be a device of `T` that is being registered and has a directory, and stay valid
    /// as long as the result.
    pub(super) unsafe fn from_raw(dev: *mut bindings::drm_device) -> Self {
        Self {
            dev,
            _phantom: PhantomData,
        }
    }

    /// Adds a report that only root may read. The file is removed with the directory, when the
    /// device is unplugged. As usual with debugfs, a failure to create it is ignored.
    pub(crate) fn report<R: Report<Driver = T>>(&self) {
        self.file(R::NAME, 0o400, const { &Reading::<R>::FOPS });
    }

    /// Adds a list that only root may read; otherwise as [`report`](Dir::report).
    pub(crate) fn list<L: List<Driver = T>>(&self) {
        self.file(L::NAME, 0o400, list::fops::<L>());
    }

    /// Adds a command that only root may write to; otherwise as [`report`](Dir::report).
    pub(crate) fn command<C: Command<Driver = T>>(&self) {
        self.file(C::NAME, 0o200, const { &Writing::<C>::FOPS });
    }

    /// Adds a setting that only root may read and write; otherwise as [`report`](Dir::report).
    pub(crate) fn setting<S: Setting<Driver = T>>(&self) {
        self.file(S::NAME, 0o600, const { &SettingFile::<S>::FOPS });
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

/// Reads a setting as a report and writes it as a command.
struct SettingFile<S: Setting>(PhantomData<S>);

impl<S: Setting> SettingFile<S> {
    const FOPS: bindings::file_operations = bindings::file_operations {
        write: Some(Self::write),
        ..Reading::<Self>::FOPS
    };

    extern "C" fn write(
        file: *mut bindings::file,
        buf: *const c_char,
        len: usize,
        _pos: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: `single_open()` made it a seq file, with what `file()` put there, the device, as
        // its private data. debugfs keeps the file, and with it the device, while it is written.
        let dev = unsafe {
            let m: *mut bindings::seq_file = (*file).private_data.cast();

            Device::<S::Driver>::from_raw((*m).private.cast())
        };

        run::<Self>(dev, buf, len)
    }
}

impl<S: Setting> Report for SettingFile<S> {
    type Driver = S::Driver;
    const NAME: &'static CStr = S::NAME;

    fn show(dev: &Device<S::Driver>, p: &Printer) -> Result {
        drm_print!(p, "{}\n", S::get(dev));
        Ok(())
    }
}

impl<S: Setting> Command for SettingFile<S> {
    type Driver = S::Driver;
    const NAME: &'static CStr = S::NAME;

    fn run(dev: &Device<S::Driver>, words: &str) -> Result {
        S::set(dev, parse_number(words)?)
    }
}

/// Runs a command with the `len` bytes at `buf` in user space; returns what `write()` does.
fn run<C: Command>(dev: &Device<C::Driver>, buf: *const c_char, len: usize) -> isize {
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

struct Writing<C: Command>(PhantomData<C>);

impl<C: Command> Writing<C> {
    const FOPS: bindings::file_operations = bindings::file_operations {
        owner: this_module::<<C::Driver as Types>::Module>().as_ptr(),
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

        run::<C>(dev, buf, len)
    }
}

struct Reading<R: Report>(PhantomData<R>);

impl<R: Report> Reading<R> {
    const FOPS: bindings::file_operations = bindings::file_operations {
        owner: this_module::<<R::Driver as Types>::Module>().as_ptr(),
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

#[cfg(CONFIG_KUNIT)]
#[path = "../../../tests/kunit/abstractions/drm/debugfs.rs"]
mod kunit;
