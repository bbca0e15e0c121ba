// SPDX-License-Identifier: GPL-2.0

//! What the KUnit suites share. Each suite is a child module of the room it is about, so that it sees
//! what the room keeps to itself; its cases return an error instead of ending the thread, so that what
//! they hold is given back.

pub(crate) mod device;

use core::ptr::addr_of_mut;

use kernel::prelude::*;

use crate::{
    abstractions::drm::Printer,
    bindings::raw as bindings, //
};

/// What `print` prints, as debugfs would have it.
pub(crate) fn printed(print: impl FnOnce(&Printer) -> Result) -> Result<KVec<u8>> {
    let mut text = KVec::from_elem(0, 16 << 10, GFP_KERNEL)?;
    let mut file = bindings::seq_file {
        buf: text.as_mut_ptr().cast(),
        size: text.len(),
        ..Default::default()
    };
    let file = addr_of_mut!(file);

    // SAFETY: Printing looks at the buffer and its size only; both are ours, and last longer.
    unsafe {
        let mut printer = bindings::drm_seq_file_printer(file);

        print(Printer::from_raw(&mut printer))?;
    }
    // SAFETY: As above.
    let count = unsafe { (*file).count };
    if count >= text.len() {
        return Err(ENOSPC);
    }
    text.truncate(count);
    Ok(text)
}

/// Fails the case that calls it, and says in the log where and why, unless a condition holds. After the
/// condition may follow a format with its arguments: the row of a table, say.
macro_rules! check {
    ($condition:expr $(,)?) => {
        check!($condition, "no row")
    };
    ($condition:expr, $($row:tt)+) => {
        if !$condition {
            ::kernel::kunit::err(::kernel::prelude::fmt!(
                "    # {}:{}: not so: {}; {}\n",
                ::core::file!(),
                ::core::line!(),
                ::core::stringify!($condition),
                ::kernel::prelude::fmt!($($row)+)
            ));
            return Err(::kernel::error::code::EINVAL);
        }
    };
}
pub(crate) use check;

/// As [`check`], for two values that are to be equal: what came out, and what should have.
macro_rules! check_eq {
    ($actual:expr, $expected:expr $(,)?) => {
        check_eq!($actual, $expected, "no row")
    };
    ($actual:expr, $expected:expr, $($row:tt)+) => {
        match (&$actual, &$expected) {
            (actual, expected) => {
                if *actual != *expected {
                    ::kernel::kunit::err(::kernel::prelude::fmt!(
                        "    # {}:{}: {} is {:?}, not {:?}; {}\n",
                        ::core::file!(),
                        ::core::line!(),
                        ::core::stringify!($actual),
                        actual,
                        expected,
                        ::kernel::prelude::fmt!($($row)+)
                    ));
                    return Err(::kernel::error::code::EINVAL);
                }
            }
        }
    };
}
pub(crate) use check_eq;

/// A random walk's steps.
pub(crate) const WALK: usize = 100_000;

/// Makes a suite of a function `random_walk`, of which KUnit knows that it is slow, so that it can be
/// told apart (`kunit.filter=speed=slow`): `#[kunit_tests]` has no way to say that.
macro_rules! walk_suite {
    ($suite:ident) => {
        const _: () = {
            use ::kernel::bindings;

            extern "C" fn run(_test: *mut bindings::kunit) {
                ::kernel::kunit_assert!(
                    "random_walk",
                    c"tests/kunit/mod.rs",
                    0,
                    ::kernel::kunit::is_test_result_ok(random_walk())
                );
            }

            static mut CASES: [bindings::kunit_case; 2] = [
                bindings::kunit_case {
                    attr: bindings::kunit_attributes {
                        speed: bindings::kunit_speed_KUNIT_SPEED_SLOW,
                    },
                    ..::kernel::kunit::kunit_case(c"random_walk", run)
                },
                ::pin_init::zeroed(),
            ];
            ::kernel::kunit_unsafe_test_suite!($suite, CASES);
        };
    };
}
pub(crate) use walk_suite;

/// Numbers that look random, and are the same in every run.
pub(crate) struct Random(u64);

impl Random {
    /// A row of numbers of its own for each `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number below `end` (xorshift64*).
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % end
    }

    /// One of the elements.
    pub(crate) fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}
