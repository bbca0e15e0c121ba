// SPDX-License-Identifier: GPL-2.0

//! A module that makes mistakes when it is loaded: each must be caught by a checker of the debug kernel.

use core::mem::forget;

use kernel::{
    new_mutex,
    new_spinlock,
    prelude::*,
    sync::{
        Mutex,
        SpinLock, //
    }, //
};

module! {
    type: Checkers,
    name: "checkers",
    authors: ["The pddgpu authors"],
    description: "Mistakes for the kernel's checkers to find",
    license: "GPL v2",
}

struct Checkers;

impl kernel::Module for Checkers {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        leak()?;
        use_after_free()?;
        out_of_bounds()?;
        sleep_in_atomic()?;
        // The last one, as lockdep gives up after its first report.
        lock_order()?;
        Ok(Self)
    }
}

#[inline(never)]
fn use_after_free() -> Result {
    let freed: *const u64 = KBox::into_raw(KBox::new(7u64, GFP_KERNEL)?);

    // SAFETY: None: the second read is of freed memory, which is what it is about.
    unsafe {
        drop(KBox::from_raw(freed.cast_mut()));
        pr_info!("freed: {}\n", freed.read_volatile());
    }
    Ok(())
}

#[inline(never)]
fn out_of_bounds() -> Result {
    let bytes = KBox::new([1u8; 40], GFP_KERNEL)?;

    // SAFETY: None: it is the byte after the last one.
    pr_info!("beyond: {}\n", unsafe {
        bytes.as_ptr().add(40).read_volatile()
    });
    Ok(())
}

/// Several, as one may still be on the stack somewhere.
#[inline(never)]
fn leak() -> Result {
    for _ in 0..10 {
        forget(KBox::new([0x5au8; 100], GFP_KERNEL)?);
    }
    Ok(())
}

#[inline(never)]
fn sleep_in_atomic() -> Result {
    let lock = KBox::pin_init(new_spinlock!((), "checkers::atomic"), GFP_KERNEL)?;
    let lock: &SpinLock<()> = &lock;
    let _guard = lock.lock();

    drop(KBox::new(1u8, GFP_KERNEL)?);
    Ok(())
}

#[inline(never)]
fn lock_order() -> Result {
    let a = KBox::pin_init(new_mutex!((), "checkers::a"), GFP_KERNEL)?;
    let b = KBox::pin_init(new_mutex!((), "checkers::b"), GFP_KERNEL)?;
    let (a, b): (&Mutex<()>, &Mutex<()>) = (&a, &b);

    {
        let _a = a.lock();
        let _b = b.lock();
    }
    let _b = b.lock();
    let _a = a.lock();
    Ok(())
}
