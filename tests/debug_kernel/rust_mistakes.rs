// SPDX-License-Identifier: GPL-2.0

//! Mistakes of Rust code, for `c_mistakes.c`.

use core::{
    hint::black_box,
    mem::forget, //
};

use kernel::{
    error::from_result,
    new_mutex,
    new_spinlock,
    prelude::*,
    sync::{
        Mutex,
        SpinLock, //
    }, //
};

/// Reads what was freed.
#[no_mangle]
pub extern "C" fn rust_use_after_free() -> c_int {
    from_result(|| {
        let freed: *const u64 = KBox::into_raw(KBox::new(7u64, GFP_KERNEL)?);

        // SAFETY: None: the second read is of freed memory, which is what it is about.
        unsafe {
            drop(KBox::from_raw(freed.cast_mut()));
            black_box(freed.read_volatile());
        }
        Ok(0)
    })
}

/// Reads the byte after the last one.
#[no_mangle]
pub extern "C" fn rust_out_of_bounds() -> c_int {
    from_result(|| {
        let bytes = KBox::new([1u8; 40], GFP_KERNEL)?;

        // SAFETY: None, this is the mistake.
        black_box(unsafe { bytes.as_ptr().add(40).read_volatile() });
        Ok(0)
    })
}

/// Forgets several boxes, as the address of one may still be on the stack somewhere.
#[no_mangle]
pub extern "C" fn rust_leak() -> c_int {
    from_result(|| {
        for _ in 0..10 {
            forget(KBox::new([0x5au8; 100], GFP_KERNEL)?);
        }
        Ok(0)
    })
}

/// Allocates, which may sleep, with a spinlock held.
#[no_mangle]
pub extern "C" fn rust_sleep_in_atomic() -> c_int {
    from_result(|| {
        let lock = KBox::pin_init(new_spinlock!((), "checkers::atomic"), GFP_KERNEL)?;
        let lock: &SpinLock<()> = &lock;
        let _guard = lock.lock();

        drop(KBox::new(1u8, GFP_KERNEL)?);
        Ok(0)
    })
}

/// Takes two locks in one order, then in the other.
#[no_mangle]
pub extern "C" fn rust_lock_order() -> c_int {
    from_result(|| {
        let a = KBox::pin_init(new_mutex!((), "checkers::a"), GFP_KERNEL)?;
        let b = KBox::pin_init(new_mutex!((), "checkers::b"), GFP_KERNEL)?;
        let (a, b): (&Mutex<()>, &Mutex<()>) = (&a, &b);

        {
            let _a = a.lock();
            let _b = b.lock();
        }
        let _b = b.lock();
        let _a = a.lock();
        Ok(0)
    })
}

/// Counts beyond what a byte holds.
#[no_mangle]
pub extern "C" fn rust_overflow() -> c_int {
    c_int::from(black_box(u8::MAX) + black_box(1))
}

/// Asserts what is not so.
#[no_mangle]
pub extern "C" fn rust_debug_assertion() -> c_int {
    debug_assert!(black_box(0) == 1);
    0
}
