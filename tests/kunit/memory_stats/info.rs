// SPDX-License-Identifier: GPL-2.0

//! Statistics as user space queries them: which figure is where.

use kernel::prelude::*;

use super::*;
use crate::abstractions::ttm::Moved;
use crate::memory_stats::bench::Bench;

#[kunit_tests(pddgpu_info)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq, //
    };

    #[test]
    fn heaps_have_their_bytes() -> Result {
        let bench = Bench::new()?;
        let stats = &bench.stats;

        // 4, 5, 6 and 7 bytes are left.
        for (n, heap) in (0..).zip(Heap::ALL) {
            stats.take(heap, 1000 + n);
            stats.give_back(heap, 1000);
            stats.take(heap, 4);
        }
        for (n, (heap, (domain, flags))) in (0..).zip(stats.query(0, 0).heaps.iter().zip([
            (uapi::PDDGPU_GEM_DOMAIN_VRAM, 0),
            (
                uapi::PDDGPU_GEM_DOMAIN_VRAM,
                uapi::PDDGPU_HEAP_STATS_VISIBLE,
            ),
            (uapi::PDDGPU_GEM_DOMAIN_GTT, 0),
            (uapi::PDDGPU_GEM_DOMAIN_CPU, 0),
        ])) {
            check_eq!((heap.domain, heap.flags), (domain, flags), "heap {}", n);
            check_eq!(
                [heap.allocated, heap.freed, heap.live, heap.peak],
                [1004 + n, 1000, 4 + n, 1000 + n],
                "heap {}",
                n
            );
        }
        Ok(())
    }

    #[test]
    fn every_direction_is_there_once() -> Result {
        let bench = Bench::new()?;
        let stats = &bench.stats;
        let mut pages = 0;

        for from in Domain::ALL {
            for to in Domain::ALL {
                pages += 1;
                let buffer = bench.track_by(1, pages, pages * 4096)?;

                for _ in 0..pages {
                    stats
                        .move_start(&buffer, from, to, false)
                        .move_end(&Ok(Moved::Now));
                }
            }
        }

        let moves = stats.query(0, 0).moves;
        let mut rows = moves.iter().zip(1..);
        for from in Domain::ALL {
            for to in Domain::ALL {
                let (row, n) = rows.next().ok_or(EINVAL)?;

                check_eq!((row.from, row.to), (from as u32, to as u32), "row {}", n);
                check_eq!((row.count, row.bytes), (n, n * n * 4096), "row {}", n);
            }
        }
        check!(rows.next().is_none());
        Ok(())
    }

    #[test]
    fn failures_have_positive_errnos_and_all_others_0() -> Result {
        let bench = Bench::new()?;
        let stats = &bench.stats;
        let errors = [
            (ENOSPC, 28),
            (ENOMEM, 12),
            (E2BIG, 7),
            (EBUSY, 16),
            (ENODEV, 19),
            (ERESTARTSYS, 512),
            (EINTR, 4),
            (EIO, 0),
        ];

        for (n, (err, _)) in (1..).zip(errors) {
            (0..n).for_each(|_| stats.alloc_start().alloc_end(Err(err)));
        }
        let failures = stats.query(0, 0).failures;
        check_eq!(failures.len(), errors.len());
        for (n, (row, (err, errno))) in (1..).zip(failures.iter().zip(errors)) {
            check_eq!((row.error, row.pad), (errno, 0), "{:?}", err);
            check_eq!(row.count, n, "{:?}", err);
        }
        Ok(())
    }

    #[test]
    fn times_are_those_of_their_operation() -> Result {
        let bench = Bench::new()?;
        let stats = &bench.stats;

        for (timing, ns) in [(&stats.alloc, 100), (&stats.free, 2000), (&stats.move_, 30)] {
            timing.record(ns);
            timing.record(3 * ns);
        }
        let query = stats.query(0, 0);
        for (name, times, ns, buckets) in [
            ("alloc", &query.alloc, 100, [6, 8]),
            ("free", &query.free, 2000, [10, 12]),
            ("move", &query.move_, 30, [4, 6]),
        ] {
            check_eq!(
                [times.count, times.total_ns, times.max_ns],
                [2, 4 * ns, 3 * ns],
                "{}",
                name
            );
            for (bucket, count) in times.histogram.iter().enumerate() {
                check_eq!(
                    *count,
                    u64::from(buckets.contains(&bucket)),
                    "{}, bucket {}",
                    name,
                    bucket
                );
            }
        }
        check_eq!(
            [
                query.info.avg_alloc_time_ns,
                query.info.avg_free_time_ns,
                query.info.avg_move_time_ns
            ],
            [200, 4000, 60]
        );
        Ok(())
    }

    #[test]
    fn the_figures_most_programs_want() -> Result {
        let bench = Bench::new()?;
        let stats = &bench.stats;
        let mut buffers = KVec::new();

        // Three confirmed leaks, two suspected, one buffer that is young.
        for (count, seconds) in [(3, 300), (2, 100), (1, 0)] {
            for id in 0..count {
                buffers.push(bench.track(id)?, GFP_KERNEL)?;
            }
            bench.after(seconds);
        }
        stats.leak_check();
        for (heap, bytes) in Heap::ALL.into_iter().zip([50, 20, 7, 3]) {
            stats.take(heap, bytes);
        }
        for (timing, count) in [(&stats.alloc, 4), (&stats.free, 5), (&stats.move_, 6)] {
            (0..count).for_each(|_| timing.record(1));
        }

        let query = stats.query(1000, 2000);
        let info = &query.info;
        check_eq!((info.vram_used, info.vram_free), (50, 1000));
        check_eq!((info.gtt_used, info.gtt_free), (7, 2000));
        check_eq!(info.cpu_used, 3);
        check_eq!(
            [
                info.total_allocations,
                info.total_deallocations,
                info.total_moves
            ],
            [4, 5, 6]
        );
        check_eq!((info.suspected_leaks, info.confirmed_leaks), (2, 3));
        check_eq!(query.objects_live, 6);
        Ok(())
    }

    #[test]
    fn evictions_are_told_apart_from_other_moves() -> Result {
        let bench = Bench::new()?;
        let stats = &bench.stats;
        let buffer = bench.track_by(1, 1, 3 * 4096)?;

        for evict in [true, false, true, false, false] {
            stats
                .move_start(&buffer, Domain::Vram, Domain::Gtt, evict)
                .move_end(&Ok(Moved::Now));
        }
        let query = stats.query(0, 0);
        check_eq!((query.evictions, query.evicted_bytes), (2, 6 * 4096));
        check_eq!(query.info.total_moves, 5);
        Ok(())
    }

    #[test]
    fn a_leak_is_told_in_ms_and_masks() -> Result {
        let bench = Bench::new()?;
        let _buffer = bench.track_by(42, 9, 8192)?;
        let known = bench
            .stats
            .list(&[LeakState::Young], |_| true)?
            .first()
            .copied()
            .ok_or(ENOENT)?;

        for (age, age_ms) in [
            (i64::MIN, 0),
            (-1, 0),
            (0, 0),
            (999_999, 0),
            (1_000_000, 1),
            (30_000_999_999, 30_000),
            (i64::MAX, 9_223_372_036_854),
        ] {
            check_eq!(leak(&Leak { age, ..known }).age_ms, age_ms, "{} ns", age);
        }
        for (state, expected) in [
            (LeakState::Suspected, uapi::PDDGPU_LEAK_SUSPECTED),
            (LeakState::Confirmed, uapi::PDDGPU_LEAK_CONFIRMED),
        ] {
            check_eq!(leak(&Leak { state, ..known }).state, expected);
        }
        for domain in [
            None,
            Some(Domain::Cpu),
            Some(Domain::Gtt),
            Some(Domain::Vram),
        ] {
            check_eq!(
                leak(&Leak { domain, ..known }).placement,
                domain.map_or(0, |domain| domain as u32),
                "{:?}",
                domain
            );
        }

        let told = leak(&Leak {
            handles: 1,
            mappings: 2,
            exports: 3,
            ..known
        });
        check_eq!((told.id, told.size), (9, 8192));
        check_eq!((told.client, told.pid), (7, 42));
        check_eq!(told.domains, uapi::PDDGPU_GEM_DOMAIN_VRAM);
        check_eq!(
            (told.handles, told.mappings, told.exports, told.pins),
            (1, 2, 3, 0)
        );
        check_eq!(told.comm, known.owner.comm);
        Ok(())
    }
}
