// SPDX-License-Identifier: GPL-2.0

//! Slab caches: memory for many values of one size.
//!
//! `kmalloc()` rounds the size of a value up to the next of its own, which for most is a power of two.
//!
//! C header: [`include/linux/slab.h`](srctree/include/linux/slab.h)

use core::{
    alloc::Layout,
    mem::MaybeUninit,
    ptr::NonNull, //
};

use kernel::{
    prelude::*,
    str::CString,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

use crate::bindings::raw as bindings;

/// How many caches there were. Their names must differ.
static COUNT: Atomic<u64> = Atomic::new(0);

/// A `struct kmem_cache`, whose memory is charged to the cgroup of whoever allocates it.
///
/// # Invariants
///
/// `raw` is a cache for values of this layout, and nobody else's.
pub(crate) struct Cache {
    raw: NonNull<bindings::kmem_cache>,
    layout: Layout,
}

// SAFETY: A cache has no reference to the thread that made it.
unsafe impl Send for Cache {}

// SAFETY: Slab caches do their own locking.
unsafe impl Sync for Cache {}

impl Cache {
    /// A cache for values of type `T` (`kmem_cache_create()`). In `/proc/slabinfo` it has this name, and a
    /// number.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new<T>(name: &CStr) -> Result<Self> {
        let layout = Layout::new::<T>();
        let number = COUNT.fetch_add(1, Relaxed);
        let name = CString::try_from_fmt(fmt!("{}-{}", name.to_str()?, number))?;
        // CAST: A few hundred bytes.
        // SAFETY: The name is copied.
        let raw = unsafe {
            bindings::kmem_cache_create(
                name.as_char_ptr(),
                layout.size() as c_uint,
                layout.align() as c_uint,
                bindings::SLAB_ACCOUNT,
            )
        };

        // INVARIANT: Just made, for this layout.
        Ok(Self {
            raw: NonNull::new(raw).ok_or(ENOMEM)?,
            layout,
        })
    }

    /// Allocates zeroed memory for a value (`kmem_cache_alloc()`).
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL` for a type of another layout.
    ///
    /// # Safety
    ///
    /// The result must be dropped before the cache is, and must not be given another size.
    pub(crate) unsafe fn alloc_zeroed<T>(&self) -> Result<KBox<MaybeUninit<T>>> {
        if Layout::new::<T>() != self.layout {
            return Err(EINVAL);
        }
        // SAFETY: By the type invariant.
        let memory = unsafe {
            bindings::kmem_cache_alloc(
                self.raw.as_ptr(),
                bindings::GFP_KERNEL | bindings::__GFP_ZERO,
            )
        };
        let memory = NonNull::new(memory).ok_or(ENOMEM)?;

        // SAFETY: It is ours, of this layout, and `kfree()` frees memory of any cache.
        Ok(unsafe { KBox::from_raw(memory.as_ptr().cast()) })
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; by the requirements of `alloc_zeroed` nothing of it is in use.
        unsafe { bindings::kmem_cache_destroy(self.raw.as_ptr()) };
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/abstractions/slab.rs"]
mod kunit;
