// SPDX-License-Identifier: GPL-2.0

//! A local and global lock: a value in parts, each of which has a lock of its own.
//!
//! A processor changes the part that is its own, so processors neither wait for each other nor pass
//! cache lines around. Who wants to see all parts at one moment takes all locks. The kernel once had
//! it as `lglock`; nothing in the `kernel` crate is like it.

use core::{
    array::from_fn,
    pin::Pin, //
};

use kernel::{
    cpu::{
        nr_cpu_ids,
        CpuId, //
    },
    prelude::*,
    sync::{
        LockClassKey,
        SpinLockIrq,
        SpinLockIrqGuard, //
    }, //
};

/// Most parts. Lockdep follows up to 48 locks that are held at once, and each has a class here.
const MOST: usize = 16;

static CLASSES: [LockClassKey; MOST] = [const {
    // SAFETY: It is in static memory, and statics are never dropped.
    unsafe { LockClassKey::new_static() }
}; MOST];

/// A part, in cache lines of its own.
#[pin_data]
#[repr(align(64))]
struct Part<T> {
    #[pin]
    lock: SpinLockIrq<T>,
}

/// A value in parts. Interrupts are off while a lock is held.
#[pin_data]
pub(crate) struct LgLock<T> {
    #[pin]
    parts: [Part<T>; MOST],
    /// How many of them are used: a power of two.
    used: usize,
}

impl<T> LgLock<T> {
    /// One whose parts are all what `part` returns.
    pub(crate) fn new(part: impl Fn() -> T) -> impl PinInit<Self> {
        // CAST: There are no 2^32 processors.
        let used = (nr_cpu_ids() as usize).next_power_of_two().min(MOST);

        pin_init!(Self {
            parts <- pin_init::pin_init_array_from_fn(move |at| {
                let (part, class) = (part(), Pin::static_ref(&CLASSES[at]));

                pin_init!(Part {
                    lock <- SpinLockIrq::new(part, c"LgLock", class),
                })
            }),
            used,
        })
    }

    /// Locks the part of this processor. A task that goes to another one meanwhile waits for those who
    /// are there, and does no harm.
    pub(crate) fn lock_local(&self) -> SpinLockIrqGuard<'_, T> {
        // CAST: There are no 2^32 processors.
        let cpu = CpuId::current().as_u32() as usize;

        self.parts[cpu & (self.used - 1) & (MOST - 1)].lock.lock()
    }

    /// Calls `f` with all parts, none of which changes meanwhile.
    pub(crate) fn with_all<R>(&self, f: impl FnOnce(&mut dyn Iterator<Item = &mut T>) -> R) -> R
    where
        T: Unpin,
    {
        // In order, so that two callers do not wait for each other.
        let mut parts: [_; MOST] =
            from_fn(|at| (at < self.used).then(|| self.parts[at].lock.lock()));

        f(&mut parts.iter_mut().flatten().map(|part| &mut **part))
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/abstractions/lglock.rs"]
mod kunit;
