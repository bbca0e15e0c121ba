// SPDX-License-Identifier: GPL-2.0

//! Read-write semaphores.
//!
//! C header: [`include/linux/rwsem.h`](srctree/include/linux/rwsem.h)

use kernel::{
    prelude::*,
    str::as_char_ptr_in_const_context,
    sync::LockClassKey,
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};

use crate::bindings::raw as bindings;

/// A `struct rw_semaphore` that protects something outside of it.
///
/// # Invariants
///
/// Wraps an initialised semaphore.
#[pin_data]
pub(crate) struct RwSemaphore {
    #[pin]
    sem: Opaque<bindings::rw_semaphore>,
}

// SAFETY: A semaphore may be moved between threads while nobody holds it.
unsafe impl Send for RwSemaphore {}

// SAFETY: A semaphore is made to be used by several threads at once.
unsafe impl Sync for RwSemaphore {}

impl RwSemaphore {
    /// A semaphore that is not held.
    pub(crate) fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        pin_init!(Self {
            sem <- Opaque::ffi_init(|sem: *mut bindings::rw_semaphore| {
                // SAFETY: `sem` is memory for a semaphore that never moves; name and key are
                // static.
                unsafe {
                    bindings::__init_rwsem(sem, as_char_ptr_in_const_context(name), key.as_ptr())
                };
            }),
        })
    }

    /// Acquires it for reading, which excludes writers (`down_read()`).
    pub(crate) fn read(&self) -> ReadGuard<'_> {
        // SAFETY: By the type invariant.
        unsafe { bindings::down_read(self.sem.get()) };

        // INVARIANT: Taken above.
        ReadGuard(self, NotThreadSafe)
    }

    /// Acquires it for writing, which excludes readers and writers (`down_write()`).
    pub(crate) fn write(&self) -> WriteGuard<'_> {
        // SAFETY: By the type invariant.
        unsafe { bindings::down_write(self.sem.get()) };

        // INVARIANT: Taken above.
        WriteGuard(self, NotThreadSafe)
    }
}

/// A semaphore held for reading.
///
/// # Invariants
///
/// The semaphore is held, once for each guard.
#[must_use = "the semaphore is released when this is dropped"]
pub(crate) struct ReadGuard<'a>(&'a RwSemaphore, NotThreadSafe);

impl Drop for ReadGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::up_read(self.0.sem.get()) };
    }
}

/// A semaphore held for writing.
///
/// # Invariants
///
/// The semaphore is held.
#[must_use = "the semaphore is released when this is dropped"]
pub(crate) struct WriteGuard<'a>(&'a RwSemaphore, NotThreadSafe);

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::up_write(self.0.sem.get()) };
    }
}
