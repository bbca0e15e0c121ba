// SPDX-License-Identifier: GPL-2.0

use serde::{Serialize, Serializer};

use crate::raw;

/// How many entries a histogram of times has.
const BUCKETS: usize = raw::PDDGPU_TIME_BUCKETS as usize;

/// How many operations took how long. Entry `i` counts those that took from 2^i to less than
/// 2^(i + 1) ns; the first those of less than that too, the last all longer ones too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram(pub [u64; BUCKETS]);

impl Histogram {
    /// How many operations were counted.
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, &n| sum.saturating_add(n))
    }

    /// A time in ns that `percent` of 100 operations did not exceed: the upper bound of the entry
    /// they end in, which for the last entry is [`u64::MAX`]. 0 if nothing was counted.
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

    /// The time in ns that everything in an entry is below.
    fn upper_bound(bucket: usize) -> u64 {
        if bucket + 1 < BUCKETS {
            2 << bucket
        } else {
            u64::MAX
        }
    }

    /// The median, in ns; as [`percentile`](Self::percentile) has it.
    pub fn p50(&self) -> u64 {
        self.percentile(50.0)
    }

    /// What all but one of a hundred did not exceed, in ns; as [`percentile`](Self::percentile) has
    /// it.
    pub fn p99(&self) -> u64 {
        self.percentile(99.0)
    }

    /// What none exceeded, in ns; as [`percentile`](Self::percentile) has it.
    pub fn max(&self) -> u64 {
        self.percentile(100.0)
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(entries: &[(usize, u64)]) -> Histogram {
        let mut histogram = Histogram::default();
        for &(bucket, count) in entries {
            histogram.0[bucket] = count;
        }
        histogram
    }

    #[test]
    fn nothing_counted_is_zero() {
        let empty = Histogram::default();
        assert_eq!((empty.p50(), empty.p99(), empty.max()), (0, 0, 0));
    }

    #[test]
    fn a_percentile_is_the_upper_bound_of_its_entry() {
        let one = histogram(&[(10, 1)]);
        assert_eq!((one.p50(), one.p99(), one.max()), (2048, 2048, 2048));

        let hundred = histogram(&[(0, 50), (7, 49), (20, 1)]);
        assert_eq!(hundred.percentile(0.0), 2);
        assert_eq!(hundred.p50(), 2);
        assert_eq!(hundred.percentile(50.1), 256);
        assert_eq!(hundred.p99(), 256);
        assert_eq!(hundred.percentile(99.5), 2 << 20);
        assert_eq!(hundred.max(), 2 << 20);
    }

    #[test]
    fn the_last_entry_has_no_upper_bound() {
        assert_eq!(histogram(&[(BUCKETS - 2, 1)]).max(), 1 << (BUCKETS - 1));
        assert_eq!(histogram(&[(BUCKETS - 1, 1)]).max(), u64::MAX);
    }

    #[test]
    fn counts_beyond_all_measure_do_not_overflow() {
        let huge = histogram(&[(3, u64::MAX), (4, u64::MAX)]);
        assert_eq!(huge.count(), u64::MAX);
        assert_eq!(huge.p99(), 16);
    }
}
