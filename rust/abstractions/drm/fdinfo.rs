// SPDX-License-Identifier: GPL-2.0

//! What `/proc/PID/fdinfo` shows of a client's memory.
//!
//! C source: `drivers/gpu/drm/drm_file.c`,
//! [`drm-usage-stats`](srctree/Documentation/gpu/drm-usage-stats.rst)

use kernel::prelude::*;

use crate::{
    abstractions::drm::{
        device::Device,
        file::File,
        printer::Printer,
        types::Types, //
    },
    bindings::raw as bindings, //
};

/// Bytes of a client's buffers in one region (`struct drm_memory_stats`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MemoryStats {
    /// Of buffers that others have, too.
    pub(crate) shared: u64,
    /// Of buffers that nobody else has.
    pub(crate) private: u64,
    /// Of buffers that have their memory there.
    pub(crate) resident: u64,
    /// Of those, the ones whose content may be dropped.
    pub(crate) purgeable: u64,
    /// Of those, the ones that the device is at work on.
    pub(crate) active: u64,
}

impl Printer {
    /// Prints the bytes of a region (`drm_print_memory_stats()`).
    pub(crate) fn memory_stats(&self, region: &CStr, stats: &MemoryStats) {
        let stats = bindings::drm_memory_stats {
            shared: stats.shared,
            private: stats.private,
            resident: stats.resident,
            purgeable: stats.purgeable,
            active: stats.active,
        };

        // SAFETY: By the type invariant; the rest lasts as long as the call.
        unsafe {
            bindings::drm_print_memory_stats(
                self.as_raw().cast(),
                &stats,
                bindings::drm_gem_object_status_DRM_GEM_OBJECT_RESIDENT
                    | bindings::drm_gem_object_status_DRM_GEM_OBJECT_PURGEABLE
                    | bindings::drm_gem_object_status_DRM_GEM_OBJECT_ACTIVE,
                region.as_char_ptr(),
            )
        };
    }
}

/// A driver that tells of its clients.
pub(crate) trait ShowFdinfo: Types {
    /// Prints what `/proc/PID/fdinfo` shows of an open file beside what the DRM core does.
    fn show_fdinfo(_dev: &Device<Self>, _file: &File<Self>, _p: &Printer) {}
}

/// `show_fdinfo` of `struct drm_driver`. The kernel's own bindings do not know what is in a printer.
pub(super) extern "C" fn show_callback<T: ShowFdinfo>(
    p: *mut kernel::bindings::drm_printer,
    file: *mut bindings::drm_file,
) {
    // SAFETY: The DRM core calls this with a printer of its own, and with an open file of a device
    // of `T`.
    unsafe {
        let dev = Device::<T>::from_raw((*(*file).minor).dev);

        T::show_fdinfo(dev, File::from_raw(file), Printer::from_raw(p.cast()));
    }
}
