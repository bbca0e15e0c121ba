// SPDX-License-Identifier: GPL-2.0

//! Times: averages, histograms and percentiles.

use kernel::prelude::*;

use super::*;

#[kunit_tests(pddgpu_timing)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq,
        Random, //
    };

    fn recorded(times: &[i64]) -> Timing {
        let timing = Timing::new();

        times.iter().for_each(|ns| timing.record(*ns));
        timing
    }

    fn check_bucket(ns: i64, bucket: usize) -> Result {
        let timing = recorded(&[ns]);

        for (index, count) in timing.histogram.iter().enumerate() {
            check_eq!(
                count.get(),
                u64::from(index == bucket),
                "{} ns, bucket {}",
                ns,
                index
            );
        }
        Ok(())
    }

    #[test]
    fn buckets_are_powers_of_two() -> Result {
        for ns in [i64::MIN, -1, 0, 1] {
            check_bucket(ns, 0)?;
        }
        for exponent in 1..63 {
            let ns = 1i64 << exponent;

            check_bucket(ns - 1, (exponent - 1).min(BUCKETS - 1))?;
            check_bucket(ns, exponent.min(BUCKETS - 1))?;
            check_bucket(ns + 1, exponent.min(BUCKETS - 1))?;
        }
        check_bucket(i64::MAX, BUCKETS - 1)
    }

    #[test]
    fn nothing_took_no_time() -> Result {
        let timing = Timing::new();

        check_eq!(timing.average(), 0);
        for percent in [0, 1, 50, 99, 100] {
            check_eq!(timing.percentile(percent), 0, "{}", percent);
        }
        Ok(())
    }

    #[test]
    fn count_total_average_and_max() -> Result {
        for (times, total, average, max) in [
            (&[1][..], 1, 1, 1),
            (&[0][..], 1, 1, 1),
            (&[-5][..], 1, 1, 1),
            (&[1, 2][..], 3, 1, 2),
            (&[10, 20, 30][..], 60, 20, 30),
            (&[30, 20, 10, 1000][..], 1060, 265, 1000),
            (&[1 << 40, 1 << 41][..], 3 << 40, 3 << 39, 1 << 41),
        ] {
            let timing = recorded(times);

            check_eq!(timing.count(), times.len() as u64, "{:?}", times);
            check_eq!(timing.total.get(), total, "{:?}", times);
            check_eq!(timing.average(), average, "{:?}", times);
            check_eq!(timing.max.get(), max, "{:?}", times);
        }
        Ok(())
    }

    #[test]
    fn percentiles() -> Result {
        // 99 short ones and a long one.
        let timing = Timing::new();
        (0..99).for_each(|_| timing.record(10));
        timing.record(1000);
        for (percent, expected) in [(0, 16), (1, 16), (50, 16), (99, 16), (100, 1000)] {
            check_eq!(timing.percentile(percent), expected, "{}", percent);
        }

        // The longest time is less than its bucket's end.
        let timing = recorded(&[100]);
        for percent in [0, 1, 50, 100] {
            check_eq!(timing.percentile(percent), 100, "{}", percent);
        }

        // One in each of the first ten buckets.
        let timing = Timing::new();
        (0..10).for_each(|exponent| timing.record(1 << exponent));
        for (percent, expected) in [(10, 2), (20, 4), (50, 32), (90, 512), (91, 512), (100, 512)] {
            check_eq!(timing.percentile(percent), expected, "{}", percent);
        }
        Ok(())
    }

    /// A percentile is at least the time it stands for, less than twice that, and no more than the
    /// longest.
    #[test]
    fn percentiles_of_random_times() -> Result {
        let mut random = Random::new(5);

        for round in 0..200 {
            let mut times = KVec::new();
            let count = 1 + random.below(300);

            for _ in 0..count {
                let bits = 1 + random.below(30);
                times.push(1 + random.below(1 << bits) as i64, GFP_KERNEL)?;
            }
            let timing = recorded(&times);
            times.sort_unstable();

            for percent in [1, 10, 25, 50, 75, 90, 99, 100] {
                let rank = (count * percent).div_ceil(100);
                let exact = times[rank as usize - 1] as u64;
                let got = timing.percentile(percent);

                check!(
                    exact <= got && got <= 2 * exact && got <= timing.max.get(),
                    "round {}: {} % is {}, not {}",
                    round,
                    percent,
                    got,
                    exact
                );
            }
        }
        Ok(())
    }

    #[test]
    fn the_last_bucket_has_no_end() -> Result {
        const LAST: i64 = 1 << (BUCKETS - 1);
        let timing = recorded(&[10, 8 * LAST, 9 * LAST]);

        for (percent, expected) in [(1, 16), (50, 9 * LAST as u64), (100, 9 * LAST as u64)] {
            check_eq!(timing.percentile(percent), expected, "{}", percent);
        }
        Ok(())
    }

    #[test]
    fn reset_forgets_all() -> Result {
        let timing = recorded(&[1, 10, 1 << 20, 1 << 62]);

        timing.reset();
        check_eq!(
            [timing.count(), timing.total.get(), timing.max.get()],
            [0, 0, 0]
        );
        check!(timing.histogram.iter().all(|count| count.get() == 0));
        check_eq!(timing.average(), 0);
        Ok(())
    }
}
