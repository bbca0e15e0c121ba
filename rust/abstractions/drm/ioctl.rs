// SPDX-License-Identifier: GPL-2.0

//! Typed ioctls.
//!
//! C header: [`include/drm/drm_ioctl.h`](srctree/include/drm/drm_ioctl.h)

use core::mem::size_of;

use kernel::{
    error::from_result,
    ioctl::{
        _IOC_NR,
        _IOC_SIZE, //
    },
    prelude::*, //
};

use crate::{
    abstractions::drm::{
        device::Device,
        file::File,
        types::Types, //
    },
    bindings::raw as bindings, //
};

/// One ioctl of a driver.
pub(crate) trait Ioctl: 'static {
    /// The driver it belongs to.
    type Driver: Types;

    /// The argument. If user space passes a shorter structure, the rest is zero.
    type Argument: FromBytes + IntoBytes;

    /// The command, `DRM_IOCTL_…` of the user-space header.
    const COMMAND: u32;

    /// Executes the ioctl.
    ///
    /// The DRM core copies `argument` back to user space even after an error. So leave it unchanged
    /// when returning one.
    fn call(
        dev: &Device<Self::Driver>,
        argument: &mut Self::Argument,
        file: &File<Self::Driver>,
    ) -> Result;
}

/// An entry of [`Driver::IOCTLS`](super::Driver::IOCTLS).
#[repr(transparent)]
pub(crate) struct Descriptor(bindings::drm_ioctl_desc);

impl Descriptor {
    /// The entry for an ioctl that every client of a primary or render node may call.
    pub(crate) const fn new<I: Ioctl>() -> Self {
        const {
            assert!(
                _IOC_SIZE(I::COMMAND) == size_of::<I::Argument>(),
                "the command was made for another argument"
            )
        };

        Self(bindings::drm_ioctl_desc {
            cmd: I::COMMAND,
            flags: bindings::drm_ioctl_flags_DRM_RENDER_ALLOW,
            func: Some(callback::<I>),
            name: core::ptr::null(),
        })
    }
}

/// Checks at compile time that the entries are in the order of their numbers and leave no gap.
pub(crate) const fn table<const N: usize>(entries: [Descriptor; N]) -> [Descriptor; N] {
    let mut i = 0;

    while i < N {
        assert!(_IOC_NR(entries[i].0.cmd) == bindings::DRM_COMMAND_BASE + i as u32);
        i += 1;
    }
    entries
}

/// The table as the C type.
pub(super) const fn as_raw(table: &'static [Descriptor]) -> *const bindings::drm_ioctl_desc {
    table.as_ptr().cast()
}

extern "C" fn callback<I: Ioctl>(
    dev: *mut bindings::drm_device,
    data: *mut c_void,
    file: *mut bindings::drm_file,
) -> c_int {
    // SAFETY: The DRM core calls the entries of a driver's table with devices and open files of
    // that driver, and with a buffer at least as large as the command says, which is the size of
    // the argument. As it is `FromBytes`, any content is valid for it, and nobody else uses the
    // buffer meanwhile.
    let (dev, argument, file) = unsafe {
        (
            Device::<I::Driver>::from_raw(dev),
            &mut *data.cast::<I::Argument>(),
            File::<I::Driver>::from_raw(file),
        )
    };

    from_result(|| I::call(dev, argument, file).map(|()| 0))
}
