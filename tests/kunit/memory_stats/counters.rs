// SPDX-License-Identifier: GPL-2.0

//! Counters: of bytes, of moves, of creations that failed.

use super::*;
use crate::kunit::{
    check_eq,
    walk_suite,
    Random,
    WALK, //
};

#[kunit_tests(pddgpu_counters)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_adds() -> Result {
        let counter = Counter::new();

        check_eq!(counter.get(), 0);
        for (n, sum) in [
            (1, 1),
            (0, 1),
            (41, 42),
            (-2, 40),
            (i64::MAX - 40, i64::MAX),
        ] {
            check_eq!(counter.add(n), sum, "{}", n);
            check_eq!(counter.get(), sum as u64);
        }
        counter.set(5);
        check_eq!(counter.get(), 5);
        Ok(())
    }

    #[test]
    fn a_counter_below_0_reads_0() -> Result {
        let counter = Counter::new();

        check_eq!(counter.add(-3), -3);
        check_eq!(counter.get(), 0);
        check_eq!(counter.add(5), 2);
        check_eq!(counter.get(), 2);
        Ok(())
    }

    #[test]
    fn a_counter_is_only_raised() -> Result {
        let counter = Counter::new();

        for (n, expected) in [
            (0, 0),
            (-5, 0),
            (7, 7),
            (6, 7),
            (7, 7),
            (8, 8),
            (i64::MAX, i64::MAX),
        ] {
            counter.raise(n);
            check_eq!(counter.get(), expected as u64, "{}", n);
        }
        Ok(())
    }

    #[test]
    fn a_heap_counts_bytes() -> Result {
        let heap = HeapStats::new();

        // Taken or given back; then live, peak, allocated, freed.
        for (n, expected) in [
            (100i64, [100u64, 100, 100, 0]),
            (50, [150, 150, 150, 0]),
            (-100, [50, 150, 150, 100]),
            (60, [110, 150, 210, 100]),
            (0, [110, 150, 210, 100]),
            (41, [151, 151, 251, 100]),
            (-151, [0, 151, 251, 251]),
        ] {
            let live = match n {
                0.. => heap.take(n as u64),
                _ => heap.give_back(n.unsigned_abs()),
            };

            check_eq!(
                [&heap.live, &heap.peak, &heap.allocated, &heap.freed].map(Counter::get),
                expected,
                "{}",
                n
            );
            check_eq!(live, expected[0]);
        }
        Ok(())
    }

    #[test]
    fn a_reset_heap_keeps_what_is_live() -> Result {
        let heap = HeapStats::new();

        heap.take(100);
        heap.take(30);
        heap.give_back(100);
        heap.reset();
        check_eq!(
            [&heap.live, &heap.peak, &heap.allocated, &heap.freed].map(Counter::get),
            [30, 30, 0, 0]
        );
        heap.give_back(30);
        heap.reset();
        check_eq!(
            [&heap.live, &heap.peak, &heap.allocated, &heap.freed].map(Counter::get),
            [0, 0, 0, 0]
        );
        Ok(())
    }

    #[test]
    fn moves_count_and_add_up() -> Result {
        let moves = MoveStats::new();

        for n in 1..=10u64 {
            moves.add(n * 4096);
            check_eq!(moves.count.get(), n);
            check_eq!(moves.bytes.get(), n * (n + 1) / 2 * 4096);
        }
        moves.reset();
        check_eq!((moves.count.get(), moves.bytes.get()), (0, 0));
        Ok(())
    }

    #[test]
    fn every_error_has_its_counter() -> Result {
        for (index, (err, name)) in FAILURES.into_iter().enumerate() {
            if let Some(err) = err {
                check_eq!(failure(err), index, "{}", name);
            }
        }
        for err in [ECANCELED, EINVAL, EIO, EPERM, EFAULT] {
            check_eq!(failure(err), FAILURES.len() - 1, "{:?}", err);
        }
        Ok(())
    }
}

/// Against plain numbers.
fn random_walk() -> Result {
    let heap = HeapStats::new();
    let (mut live, mut peak, mut allocated, mut freed) = (0, 0, 0, 0);
    let mut random = Random::new(4);

    for step in 0..WALK {
        match random.below(1000) {
            0 => {
                heap.reset();
                (peak, allocated, freed) = (live, 0, 0);
            }
            1..500 => {
                let n = random.below(1 << 30);

                live += n;
                allocated += n;
                peak = peak.max(live);
                check_eq!(heap.take(n), live, "step {}", step);
            }
            _ => {
                let n = random.below(live + 1);

                live -= n;
                freed += n;
                check_eq!(heap.give_back(n), live, "step {}", step);
            }
        }
        check_eq!(
            [&heap.live, &heap.peak, &heap.allocated, &heap.freed].map(Counter::get),
            [live, peak, allocated, freed],
            "step {}",
            step
        );
    }
    Ok(())
}

walk_suite!(pddgpu_counters_walk);
