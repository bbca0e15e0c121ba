// SPDX-License-Identifier: GPL-2.0

//! The trait of GEM objects.
//!
//! C header: [`include/drm/drm_gem.h`](srctree/include/drm/drm_gem.h)

use kernel::sync::aref::AlwaysRefCounted;

use crate::bindings::raw as bindings;

/// A type that embeds a `struct drm_gem_object`.
///
/// # Safety
///
/// - [`as_gem`](Object::as_gem) returns the embedded, initialised object, and
///   [`from_gem`](Object::from_gem) is its inverse.
/// - The reference count of [`AlwaysRefCounted`] is that of the embedded object.
pub(crate) unsafe trait Object: AlwaysRefCounted + Sized {
    /// The embedded object.
    fn as_gem(&self) -> *mut bindings::drm_gem_object;

    /// The type around an embedded object.
    ///
    /// # Safety
    ///
    /// `ptr` must be what `as_gem()` returned for an object that stays valid for `'a`.
    unsafe fn from_gem<'a>(ptr: *mut bindings::drm_gem_object) -> &'a Self;
}
