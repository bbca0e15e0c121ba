// SPDX-License-Identifier: GPL-2.0

//! Files that list things, one after the other, as they are read.
//!
//! `kernel::seq_file` wraps files with one record only.
//!
//! C header: [`include/linux/seq_file.h`](srctree/include/linux/seq_file.h)

use kernel::{
    error::{
        from_result,
        to_result, //
    },
    module::this_module,
    prelude::*, //
};

use crate::{
    abstractions::{
        drm::{
            device::Device,
            printer::Printer,
            types::Types, //
        },
        task, //
    },
    bindings::raw as bindings, //
};

/// A read-only file of any length.
///
/// Each `read()` generates as many items as fit into a page. Nothing is locked in between, and the
/// reader may stop at any time. Where the list goes on is kept in a cursor. A read at another
/// position than the last one ended at begins anew and skips what comes before.
pub(crate) trait List: 'static {
    /// The driver it belongs to.
    type Driver: Types;

    /// The file's name.
    const NAME: &'static CStr;

    /// Where a reader is. It may outlive the device.
    type Cursor: Send;

    /// A copy of what is printed next, some lines at most.
    type Item: Send;

    /// Begins a list.
    ///
    /// # Errors
    ///
    /// Any. `read()` fails with it.
    fn start(dev: &Device<Self::Driver>) -> Result<Self::Cursor>;

    /// The next item; [`None`] at the end, and again whenever it is called after the end.
    ///
    /// # Errors
    ///
    /// Any. `read()` fails with it, and the next one goes on where the cursor is.
    fn next(dev: &Device<Self::Driver>, cursor: &mut Self::Cursor) -> Result<Option<Self::Item>>;

    /// Prints an item. It is called several times for the same item if there is not enough room.
    fn print(dev: &Device<Self::Driver>, item: &Self::Item, p: &Printer);
}

/// The operations of a file.
pub(super) fn fops<L: List>() -> &'static bindings::file_operations {
    const { &Reader::<L>::FOPS }
}

/// Who has the file open.
struct Reader<L: List> {
    /// The device. It is there while the file is opened or read, and may be gone in between.
    dev: *mut bindings::drm_device,
    cursor: Option<L::Cursor>,
    /// The item at index `at`, if it was generated.
    item: Option<L::Item>,
    at: bindings::loff_t,
}

impl<L: List> Reader<L> {
    const FOPS: bindings::file_operations = bindings::file_operations {
        owner: this_module::<<L::Driver as Types>::Module>().as_ptr(),
        open: Some(Self::open),
        read: Some(bindings::seq_read),
        llseek: Some(bindings::seq_lseek),
        release: Some(Self::release),
        ..pin_init::zeroed()
    };

    const OPERATIONS: bindings::seq_operations = bindings::seq_operations {
        start: Some(Self::start),
        next: Some(Self::next),
        stop: Some(Self::stop),
        show: Some(Self::show),
    };

    fn new(dev: *mut bindings::drm_device) -> Self {
        Self {
            dev,
            cursor: None,
            item: None,
            at: 0,
        }
    }

    /// Generates the item at index `pos`. Returns `false` if the list ends before.
    fn seek(&mut self, dev: &Device<L::Driver>, pos: bindings::loff_t) -> Result<bool> {
        // The beginning is always that of a new list.
        if pos == 0 || pos < self.at {
            *self = Self::new(self.dev);
        }

        loop {
            if self.item.is_none() {
                task::check_killed()?;
                task::cond_resched();

                let cursor = match &mut self.cursor {
                    Some(cursor) => cursor,
                    none => none.insert(L::start(dev)?),
                };
                self.item = L::next(dev, cursor)?;
            }
            if self.item.is_none() || self.at == pos {
                return Ok(self.item.is_some());
            }
            self.item = None;
            self.at += 1;
        }
    }

    /// As [`seek`](Self::seek), for the C code, which takes any pointer for an item.
    ///
    /// # Safety
    ///
    /// `m` must be that of a file which `open` opened, and which is being read.
    unsafe fn item(m: *mut bindings::seq_file, pos: bindings::loff_t) -> *mut c_void {
        // SAFETY: `open` put the reader there, and the seq file's lock is held. debugfs keeps the
        // file, and with it the device, while it is being read.
        let (reader, dev) = unsafe {
            let reader = (*m).private.cast::<Self>();

            (&mut *reader, Device::from_raw((*reader).dev))
        };

        match reader.seek(dev, pos) {
            Ok(true) => m.cast(),
            Ok(false) => core::ptr::null_mut(),
            Err(err) => err.to_ptr(),
        }
    }

    extern "C" fn start(m: *mut bindings::seq_file, pos: *mut bindings::loff_t) -> *mut c_void {
        // SAFETY: `seq_read()` calls this, with the position.
        unsafe { Self::item(m, *pos) }
    }

    extern "C" fn next(
        m: *mut bindings::seq_file,
        _item: *mut c_void,
        pos: *mut bindings::loff_t,
    ) -> *mut c_void {
        // SAFETY: `seq_read()` calls this, with the position of the item before.
        unsafe {
            *pos += 1;
            Self::item(m, *pos)
        }
    }

    extern "C" fn stop(_m: *mut bindings::seq_file, _item: *mut c_void) {
        // Nothing is held.
    }

    extern "C" fn show(m: *mut bindings::seq_file, _item: *mut c_void) -> c_int {
        // SAFETY: `open` put the reader there, and the seq file's lock is held. debugfs keeps the
        // file, and with it the device, while it is being read.
        let (reader, dev, mut printer) = unsafe {
            let reader = (*m).private.cast::<Self>();

            (
                &*reader,
                Device::from_raw((*reader).dev),
                bindings::drm_seq_file_printer(m),
            )
        };

        if let Some(item) = &reader.item {
            // SAFETY: Just made, and on our stack.
            L::print(dev, item, unsafe { Printer::from_raw(&mut printer) });
        }
        0
    }

    extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        from_result(|| {
            // SAFETY: `Dir::file()` put the device there.
            let dev = unsafe { (*inode).i_private }.cast();
            let reader = KBox::new(Self::new(dev), GFP_KERNEL)?;

            // SAFETY: `file` is being opened; the operations are static. A seq file has room for
            // a pointer, which `release` takes back.
            unsafe {
                to_result(bindings::seq_open(file, const { &Self::OPERATIONS }))?;

                let m: *mut bindings::seq_file = (*file).private_data.cast();
                (*m).private = KBox::into_raw(reader).cast();
            }
            Ok(0)
        })
    }

    extern "C" fn release(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: `open` put the reader there, and nobody uses the file any more.
        unsafe {
            let m: *mut bindings::seq_file = (*file).private_data.cast();

            drop(KBox::<Self>::from_raw((*m).private.cast()));
            bindings::seq_release(inode, file)
        }
    }
}
