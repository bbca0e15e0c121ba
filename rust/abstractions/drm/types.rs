// SPDX-License-Identifier: GPL-2.0

//! The types that a driver brings, over which the rest of this module is generic.
//!
//! They are apart from what a driver does ([`Driver`](super::Driver)), so that a device, its files
//! and its objects can be named below the code that gives them their behaviour.

use kernel::module::ModuleMetadata;

use crate::abstractions::drm::gem;

/// The types of a GEM driver.
pub(crate) trait Types: Sized + 'static {
    /// The module the driver's code is in.
    type Module: ModuleMetadata;

    /// Kept with each device, from its allocation until its last user is gone: as long as files are
    /// open, also after the parent device was unbound.
    type Data: Send + Sync;

    /// The data of each open file.
    type File: Send + Sync;

    /// The driver's GEM objects.
    type Object: gem::Object;
}
