// SPDX-License-Identifier: GPL-2.0

//! Clocks: that they tell ns, and agree.

use kernel::{
    prelude::*,
    time::{
        delay::fsleep,
        msecs_to_jiffies,
        Delta, //
    }, //
};

use super::*;

#[kunit_tests(pddgpu_time)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq, //
    };

    #[test]
    fn jiffies_are_ns_and_never_wrap() -> Result {
        for seconds in [0, 1, 60, 3600] {
            check_eq!(
                jiffies_to_ns(msecs_to_jiffies(seconds * 1000) as u64),
                u64::from(seconds) * 1_000_000_000,
                "{} s",
                seconds
            );
        }
        // Who waits for ever has a deadline later than any other.
        for jiffies in [1 << 62, 1 << 63, i64::MAX as u64, u64::MAX] {
            check!(jiffies_to_ns(jiffies) >= i64::MAX as u64, "{}", jiffies);
        }
        Ok(())
    }

    /// As well as clocks of a virtual machine do.
    #[test]
    fn a_stopwatch_takes_the_time_that_jiffies_do() -> Result {
        let stopwatch = Stopwatch::new();
        let (ns, before) = (stopwatch.now(), jiffies());

        fsleep(Delta::from_millis(500));
        let ns = stopwatch.now() - ns;
        let expected = jiffies_to_ns(jiffies() - before) as i64;

        check!(expected >= 400_000_000, "{} ns", expected);
        check!(
            (expected / 2..expected * 2).contains(&ns),
            "{} ns, not {}",
            ns,
            expected
        );
        Ok(())
    }
}
