// SPDX-License-Identifier: GPL-2.0

//! What programs that test the driver inside the VM share: the tests of this package, and the
//! fuzzer.

pub mod support;
