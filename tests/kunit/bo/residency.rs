// SPDX-License-Identifier: GPL-2.0

//! How long displaced buffers wait.

use kernel::prelude::*;

use crate::kunit::{
    check,
    check_eq, //
};

use super::*;

#[kunit_tests(pddgpu_residency)]
mod tests {
    use super::*;

    #[test]
    fn who_is_displaced_again_soon_waits_longer() -> Result {
        let bo = Residency::new();
        let mut now = 1_000_000;

        bo.left(now);
        check_eq!(bo.left_to_wait(now), u64::from(FIRST_WAIT));
        check_eq!(bo.left_to_wait(now + u64::from(FIRST_WAIT) - 1), 1);
        check_eq!(bo.left_to_wait(now + u64::from(FIRST_WAIT)), 0);
        for wait in [
            200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000,
        ] {
            now += 100_000;
            bo.came_back(now);
            now += SETTLED - 1;
            bo.left(now);
            check_eq!(bo.left_to_wait(now), wait, "{wait}");
        }
        // It was there for long.
        bo.came_back(now);
        now += SETTLED;
        bo.left(now);
        check_eq!(bo.left_to_wait(now), u64::from(FIRST_WAIT));
        Ok(())
    }

    #[test]
    fn who_is_wanted_anew_waits_no_more() -> Result {
        let bo = Residency::new();

        bo.left(5000);
        bo.found_no_place(5100);
        check_eq!(bo.left_to_wait(5100), 2 * u64::from(FIRST_WAIT));
        bo.set_for_cpu();
        bo.reset();
        check!(!bo.is_for_cpu());
        check_eq!(bo.left_to_wait(5100), 0);
        Ok(())
    }

    #[test]
    fn a_buffer_counts_once() -> Result {
        let bo = Residency::new();

        check!(!bo.set_displaced(false) && bo.set_displaced(true));
        check!(!bo.set_displaced(true) && bo.is_displaced());
        check!(bo.set_displaced(false) && !bo.is_displaced());
        Ok(())
    }
}
