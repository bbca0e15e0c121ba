// SPDX-License-Identifier: GPL-2.0

//! GEM objects, and references on them.
//!
//! C header: [`include/drm/drm_gem.h`](srctree/include/drm/drm_gem.h)

use core::{
    marker::PhantomData,
    ops::Deref,
    ptr::NonNull, //
};

use crate::bindings::raw as bindings;

/// A type that embeds a `struct drm_gem_object`.
///
/// # Safety
///
/// [`as_gem`](Object::as_gem) returns the embedded, initialised object, and
/// [`from_gem`](Object::from_gem) is its inverse. Any thread may drop the last reference.
pub(crate) unsafe trait Object: Send + Sync + Sized {
    /// The embedded object.
    fn as_gem(&self) -> *mut bindings::drm_gem_object;

    /// The type around an embedded object.
    ///
    /// # Safety
    ///
    /// `ptr` must be what `as_gem()` returned for an object that stays valid for `'a`.
    unsafe fn from_gem<'a>(ptr: *mut bindings::drm_gem_object) -> &'a Self;
}

/// A reference on a GEM object, for as long as its device is borrowed (`drm_gem_object_get()`).
///
/// An object does not keep its device alive: its handles, mappings and dma-bufs do. So this is no
/// `ARef`, which would last longer than they do, and `'a` ends before the device does.
///
/// # Invariants
///
/// This value owns one reference on the object.
pub(crate) struct Ref<'a, O: Object> {
    object: NonNull<O>,
    _dev: PhantomData<&'a O>,
}

// SAFETY: By the trait's requirements, any thread may use the object and drop the reference.
unsafe impl<O: Object> Send for Ref<'_, O> {}

// SAFETY: `&Ref` gives access to `&O` only, which is `Sync`.
unsafe impl<O: Object> Sync for Ref<'_, O> {}

impl<O: Object> Ref<'_, O> {
    /// Another reference on a live object.
    ///
    /// # Safety
    ///
    /// The object's device must outlive `'_`.
    pub(crate) unsafe fn get(object: &O) -> Self {
        // SAFETY: A shared reference means that the count is not zero. The rest is this function's
        // requirement.
        unsafe {
            bindings::drm_gem_object_get(object.as_gem());
            Self::from_raw(NonNull::from(object))
        }
    }

    /// # Safety
    ///
    /// The caller must own a reference on the object, which this value takes over. Its device must
    /// outlive `'a`.
    pub(crate) unsafe fn from_raw(object: NonNull<O>) -> Self {
        // INVARIANT: By this function's requirements.
        Self {
            object,
            _dev: PhantomData,
        }
    }
}

impl<O: Object> Deref for Ref<'_, O> {
    type Target = O;

    fn deref(&self) -> &O {
        // SAFETY: By the type invariant the object is alive.
        unsafe { self.object.as_ref() }
    }
}

impl<O: Object> Drop for Ref<'_, O> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; nothing uses the object through this value any more.
        unsafe { bindings::drm_gem_object_put(self.as_gem()) };
    }
}
