// SPDX-License-Identifier: GPL-2.0

//! The types that a driver brings, over which buffers and what may be done with them are generic.
//!
//! They are apart from what a driver does ([`Driver`](super::Driver)), so that a buffer can be
//! named below the code that TTM calls for it.

use crate::abstractions::drm;

/// The types of a driver that uses TTM.
pub(crate) trait Types: Sized + 'static {
    /// The driver's implementation of [`drm::Types`].
    type Drm: drm::Types;

    /// The driver's data in each buffer.
    type Object: Send + Sync;
}

/// The DRM device of a driver.
pub(crate) type DrmDevice<T> = drm::Device<<T as Types>::Drm>;
