// SPDX-License-Identifier: GPL-2.0

//! The statistics as the structures of `include/uapi/drm/pddgpu_drm.h`, which documents the units.

use crate::{
    memory_stats::{
        leak::{
            Leak,
            LeakState, //
        },
        stats::{
            Heap,
            MemoryStats,
            NSEC_PER_MSEC, //
        },
        timing::Timing, //
    },
    uapi::{
        self,
        Domain, //
    }, //
};

impl MemoryStats {
    /// The summary of all operations, whose times are `alloc`, `free` and `move_`. `vram_free` and
    /// `gtt_free` are the free bytes of the managers.
    #[inline]
    fn get_info(
        &self,
        vram_free: u64,
        gtt_free: u64,
        [alloc, free, move_]: [&uapi::drm_pddgpu_time_stats; 3],
    ) -> uapi::pddgpu_memory_stats_info {
        uapi::pddgpu_memory_stats_info {
            vram_used: self.heap(Heap::Vram).live.get(),
            vram_free,
            gtt_used: self.heap(Heap::Gtt).live.get(),
            gtt_free,
            cpu_used: self.heap(Heap::Cpu).live.get(),
            total_allocations: alloc.count,
            total_deallocations: free.count,
            total_moves: move_.count,
            avg_alloc_time_ns: average(alloc),
            avg_free_time_ns: average(free),
            avg_move_time_ns: average(move_),
            suspected_leaks: self.leaks(LeakState::Suspected) as u64,
            confirmed_leaks: self.leaks(LeakState::Confirmed) as u64,
        }
    }

    /// All counters. `vram_free` and `gtt_free` are the free bytes of the managers.
    ///
    /// It is a part of its caller, so that the answer is made where it is wanted: to copy it takes longer
    /// than to make it.
    #[inline(always)]
    pub(crate) fn query(
        &self,
        vram_free: u64,
        gtt_free: u64,
    ) -> uapi::drm_pddgpu_query_memory_stats {
        let mut moves = Domain::ALL
            .into_iter()
            .flat_map(|from| Domain::ALL.into_iter().map(move |to| (from, to)))
            .map(|(from, to)| uapi::drm_pddgpu_move_stats {
                from: from as u32,
                to: to as u32,
                count: self.moves(from, to).count.get(),
                bytes: self.moves(from, to).bytes.get(),
            });
        let mut failures = self
            .failures()
            .map(|(err, _, count)| uapi::drm_pddgpu_failure_stats {
                error: err.map_or(0, |err| err.to_errno().unsigned_abs()),
                pad: 0,
                count,
            });

        let mut query = uapi::drm_pddgpu_query_memory_stats {
            info: Default::default(),
            objects_live: self.objects_live() as u64,
            heaps: Heap::ALL.map(|heap| {
                let stats = self.heap(heap);

                uapi::drm_pddgpu_heap_stats {
                    domain: heap.domain() as u32,
                    flags: match heap {
                        Heap::VisibleVram => uapi::PDDGPU_HEAP_STATS_VISIBLE,
                        _ => 0,
                    },
                    allocated: stats.allocated.get(),
                    freed: stats.freed.get(),
                    live: stats.live.get(),
                    peak: stats.peak.get(),
                }
            }),
            alloc: time_stats(&self.alloc),
            free: time_stats(&self.free),
            move_: time_stats(&self.move_),
            moves: core::array::from_fn(|_| moves.next().unwrap_or_default()),
            failures: core::array::from_fn(|_| failures.next().unwrap_or_default()),
            ..self.events.query()
        };

        query.info = self.get_info(
            vram_free,
            gtt_free,
            [&query.alloc, &query.free, &query.move_],
        );
        query
    }
}

/// The durations of all operations of one kind. Each counter is read once, so that the number of
/// operations is that of the histogram.
#[inline(always)]
fn time_stats(timing: &Timing) -> uapi::drm_pddgpu_time_stats {
    let mut count = 0;

    uapi::drm_pddgpu_time_stats {
        histogram: core::array::from_fn(|bucket| {
            let operations = timing.histogram[bucket].get();

            count += operations;
            operations
        }),
        count,
        total_ns: timing.total.get(),
        max_ns: timing.max.get(),
    }
}

/// The average duration, in ns; 0 if there was no operation.
fn average(times: &uapi::drm_pddgpu_time_stats) -> u64 {
    times.total_ns.checked_div(times.count).unwrap_or(0)
}

/// A leak as the structure of the user-space header.
pub(crate) fn leak(leak: &Leak) -> uapi::drm_pddgpu_leak {
    uapi::drm_pddgpu_leak {
        id: leak.id,
        size: leak.size,
        age_ms: u64::try_from(leak.age / NSEC_PER_MSEC).unwrap_or(0),
        client: leak.owner.client,
        pid: leak.owner.pid.unsigned_abs(),
        state: leak.state as u32,
        domains: leak.param.domains.into(),
        placement: leak.domain.map_or(0, |domain| domain as u32),
        handles: leak.handles,
        mappings: leak.mappings,
        exports: leak.exports,
        pins: 0,
        comm: leak.owner.comm,
        flags: if leak.creator_exited() {
            uapi::PDDGPU_LEAK_CREATOR_EXITED
        } else {
            0
        },
        pad: 0,
        mmap_offset: leak.mmap_offset,
        dma_buf: leak.dma_buf,
        label: *leak.label.bytes(),
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/memory_stats/info.rs"]
mod kunit;
