// SPDX-License-Identifier: GPL-2.0

//! How long operations took, counted by powers of two.

use serde::{Serialize, Serializer};

use crate::raw;

/// How many buckets a histogram has.
const BUCKETS: usize = raw::PDDGPU_TIME_BUCKETS as usize;

/// How many operations took how long. Bucket `i` counts those that took from 2^i to less than
/// 2^(i + 1) ns. The first one also counts those that took less, and the last one those that took
/// more.
///
/// In JSON it has an entry for each bucket that counted something: 2^i, and the number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram(pub [u64; BUCKETS]);

impl Histogram {
    /// How many operations were counted.
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, &n| sum.saturating_add(n))
    }

    /// Time that `percent` of 100 operations did not exceed, in ns. It is the upper bound of the
    /// bucket that the last of them is in. For the last bucket this is [`u64::MAX`]. 0 if nothing
    /// was counted.
    pub fn percentile(&self, percent: f64) -> u64 {
        let count = self.count();
        if count == 0 {
            return 0;
        }
        let rank = ((count as f64 * percent / 100.0).ceil() as u64).clamp(1, count);
        let mut so_far = 0u64;
        let bucket = self.0.iter().position(|&n| {
            so_far = so_far.saturating_add(n);
            so_far >= rank
        });
        bucket.map_or(u64::MAX, Self::upper_bound)
    }

    /// The time in ns that everything in a bucket is below.
    fn upper_bound(bucket: usize) -> u64 {
        if bucket + 1 < BUCKETS {
            2 << bucket
        } else {
            u64::MAX
        }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let used = self.0.iter().enumerate().filter(|(_, &count)| count > 0);
        serializer.collect_map(used.map(|(bucket, count)| (1u64 << bucket, count)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(buckets: &[(usize, u64)]) -> Histogram {
        let mut histogram = Histogram::default();
        for &(bucket, count) in buckets {
            histogram.0[bucket] = count;
        }
        histogram
    }

    #[test]
    fn nothing_counted_is_zero() {
        assert_eq!(Histogram::default().percentile(50.0), 0);
        assert_eq!(Histogram::default().percentile(100.0), 0);
    }

    #[test]
    fn a_percentile_is_the_upper_bound_of_its_bucket() {
        let one = histogram(&[(10, 1)]);
        for percent in [0.0, 50.0, 99.0, 100.0] {
            assert_eq!(one.percentile(percent), 2048);
        }

        let hundred = histogram(&[(0, 50), (7, 49), (20, 1)]);
        for (percent, ns) in [
            (0.0, 2),
            (50.0, 2),
            (50.1, 256),
            (99.0, 256),
            (99.5, 2 << 20),
            (100.0, 2 << 20),
        ] {
            assert_eq!(hundred.percentile(percent), ns, "{percent}");
        }
    }

    #[test]
    fn the_last_bucket_has_no_upper_bound() {
        let last = |bucket| histogram(&[(bucket, 1)]).percentile(100.0);
        assert_eq!(last(BUCKETS - 2), 1 << (BUCKETS - 1));
        assert_eq!(last(BUCKETS - 1), u64::MAX);
    }

    #[test]
    fn huge_counts_do_not_overflow() {
        let huge = histogram(&[(3, u64::MAX), (4, u64::MAX)]);
        assert_eq!(huge.count(), u64::MAX);
        assert_eq!(huge.percentile(99.0), 16);
    }
}
