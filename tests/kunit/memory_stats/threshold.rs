// SPDX-License-Identifier: GPL-2.0

//! The threshold monitor: when a heap counts as nearly full, and when no more.

use kernel::prelude::*;

use crate::memory_stats::{
    bench::{
        Bench,
        TOTALS, //
    },
    limit::Limit, //
};

use super::*;

#[kunit_tests(pddgpu_threshold)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq, //
    };

    /// 90 % of a heap, and 5 % less before it counts as crossed again.
    #[test]
    fn limits_are_crossed_once() -> Result {
        let bench = Bench::new()?;
        let stats = &bench.stats;

        for (heap, total) in Heap::ALL.into_iter().zip(TOTALS) {
            let crossed = || stats.limits[heap as usize].crossed.load(Relaxed);
            let percent = total / 100;

            // Percent of the heap taken up, one after the other, and whether that is too much.
            let mut live = 0;
            for (next, expected) in [
                (89, false),
                (90, false),
                (91, true),
                (100, true),
                (90, true),
                (86, true),
                (91, true),
                (85, false),
                (90, false),
                (91, true),
                (0, false),
            ] {
                let bytes = next * percent;

                if bytes > live {
                    stats.take(heap, bytes - live);
                } else {
                    stats.give_back(heap, live - bytes);
                }
                live = bytes;
                check_eq!(crossed(), expected && total > 0, "{:?} at {} %", heap, next);
            }
        }
        Ok(())
    }

    #[test]
    fn limits_are_parts_of_the_heap() -> Result {
        for (total, percent, high, low) in [
            (100_000, 90, 90_000, 85_000),
            (100_000, 0, 0, 0),
            (100_000, 4, 4_000, 0),
            (100_000, 5, 5_000, 0),
            (100_000, 100, 100_000, 95_000),
            (99, 90, 89, 84),
            (1, 100, 1, 0),
            (8 << 30, 90, 7_730_941_132, 7_301_444_403),
            (0, 90, i64::MAX as u64, i64::MAX as u64),
            (0, 0, i64::MAX as u64, i64::MAX as u64),
        ] {
            let limit = Limit::new(total);

            limit.set(percent);
            check_eq!(
                (limit.high.get(), limit.low.get()),
                (high, low),
                "{} % of {}",
                percent,
                total
            );
        }
        Ok(())
    }

    #[test]
    fn a_crossing_waits_until_it_is_reported_and_is_reported_once() -> Result {
        let bench = Bench::new()?;
        let stats = &bench.stats;
        let pending = || stats.limits[Heap::Vram as usize].pending.load(Relaxed);

        // The work would report it.
        stats.stop();
        check!(!pending());
        stats.take(Heap::Vram, 95_000);
        check!(pending());
        stats.report_limits();
        check!(!pending());

        // More of the same crossing.
        stats.take(Heap::Vram, 5_000);
        stats.give_back(Heap::Vram, 9_000);
        stats.take(Heap::Vram, 9_000);
        check!(!pending());

        // Another one.
        stats.give_back(Heap::Vram, 20_000);
        stats.take(Heap::Vram, 20_000);
        check!(pending());
        Ok(())
    }

    #[test]
    fn a_new_limit_holds_from_the_next_byte_on() -> Result {
        let bench = Bench::new()?;
        let stats = &bench.stats;
        let crossed = || stats.limits[Heap::Gtt as usize].crossed.load(Relaxed);

        stats.take(Heap::Gtt, 120_000);
        stats.set_limit_percent(50)?;
        check!(!crossed());
        stats.take(Heap::Gtt, 1);
        check!(crossed());

        stats.set_limit_percent(70)?;
        check!(crossed());
        stats.give_back(Heap::Gtt, 1);
        check!(!crossed());
        Ok(())
    }

    #[test]
    fn a_limit_of_0_is_crossed_by_the_first_byte_and_left_with_the_last() -> Result {
        let bench = Bench::new()?;
        let stats = &bench.stats;
        let crossed = || {
            stats.limits[Heap::VisibleVram as usize]
                .crossed
                .load(Relaxed)
        };

        stats.set_limit_percent(0)?;
        for _ in 0..2 {
            stats.take(Heap::VisibleVram, 1);
            check!(crossed());
            stats.take(Heap::VisibleVram, 1);
            stats.give_back(Heap::VisibleVram, 1);
            check!(crossed());
            stats.give_back(Heap::VisibleVram, 1);
            check!(!crossed());
        }
        Ok(())
    }

    #[test]
    fn a_full_heap_does_not_cross_a_limit_of_100_percent() -> Result {
        let bench = Bench::new()?;
        let stats = &bench.stats;

        stats.set_limit_percent(100)?;
        for (heap, total) in Heap::ALL.into_iter().zip(TOTALS) {
            stats.take(heap, total);
            check!(!stats.limits[heap as usize].crossed.load(Relaxed));
        }
        Ok(())
    }
}
