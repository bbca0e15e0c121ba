// SPDX-License-Identifier: GPL-2.0

//! How long operations of one kind took.

use serde::{ser::SerializeMap, Serialize, Serializer};

use crate::statistics::{
    counter::{counters, Counter, Description, Unit},
    histogram::Histogram,
};

counters! {
    /// How long operations of one kind took. Only those are counted that succeeded.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct TimeStats from times: drm_pddgpu_time_stats;

    keys {}
    counters {
        /// Operations that succeeded.
        count: Count,
        /// Time that they took all together.
        total_ns: Nanoseconds,
        /// Time that the longest one took.
        max_ns: Nanoseconds,
    }
    parts {
        /// How many operations took how long.
        histogram: Histogram = Histogram(times.histogram),
    }
}

impl TimeStats {
    /// Figures that follow from the counters. JSON has them too.
    pub const DERIVED: &'static [Counter<Self>] = &[
        Counter {
            description: Description {
                name: "avg_ns",
                unit: Unit::Nanoseconds,
                meaning: "Time that one operation took on average. 0 if there was none.",
            },
            value: Self::avg_ns,
        },
        Counter {
            description: Description {
                name: "p50_ns",
                unit: Unit::Nanoseconds,
                meaning: "Time that half of the operations did not exceed. It is an upper bound.",
            },
            value: |times| times.percentile_ns(50.0),
        },
        Counter {
            description: Description {
                name: "p99_ns",
                unit: Unit::Nanoseconds,
                meaning: "Time that 99 of 100 operations did not exceed. It is an upper bound.",
            },
            value: |times| times.percentile_ns(99.0),
        },
    ];

    /// Time that one operation took on average, in ns. 0 if there was none.
    pub fn avg_ns(&self) -> u64 {
        self.total_ns.checked_div(self.count).unwrap_or(0)
    }

    /// Time that `percent` of 100 operations did not exceed, in ns. It is the upper bound of the
    /// histogram's bucket, or the longest time where that is less. 0 if there was no operation.
    pub fn percentile_ns(&self, percent: f64) -> u64 {
        self.histogram.percentile(percent).min(self.max_ns)
    }
}

impl Serialize for TimeStats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for counter in Self::COUNTERS.iter().chain(Self::DERIVED) {
            map.serialize_entry(counter.description.name, &(counter.value)(self))?;
        }
        map.serialize_entry("histogram", &self.histogram)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times() -> TimeStats {
        let mut raw = crate::raw::drm_pddgpu_time_stats {
            count: 4,
            total_ns: 10_000,
            max_ns: 5000,
            ..Default::default()
        };
        raw.histogram[10] = 3;
        raw.histogram[12] = 1;
        TimeStats::from_raw(&raw)
    }

    #[test]
    fn no_percentile_is_above_the_longest_time() {
        assert_eq!(times().avg_ns(), 2500);
        assert_eq!(times().percentile_ns(50.0), 2048);
        assert_eq!(times().percentile_ns(99.0), 5000);
    }

    #[test]
    fn without_operations_all_figures_are_zero() {
        let none = TimeStats::default();
        for counter in TimeStats::COUNTERS.iter().chain(TimeStats::DERIVED) {
            assert_eq!((counter.value)(&none), 0, "{:?}", counter.description);
        }
    }

    #[test]
    fn json_has_what_follows_from_the_counters() {
        let json = serde_json::to_value(times()).unwrap();
        assert_eq!(json["max_ns"], 5000);
        assert_eq!(json["p50_ns"], 2048);
        assert_eq!(json["histogram"]["1024"], 3);
    }
}
