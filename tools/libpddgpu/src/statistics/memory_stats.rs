// SPDX-License-Identifier: GPL-2.0

//! Everything the driver counts: bytes, buffers, moves, failures and times.

use serde::Serialize;

use crate::{
    card::Card,
    domain::Domain,
    error::{Error, Result},
    query::Query,
    raw,
    statistics::{
        counter::{counters, Counter, CounterTable, Description, Unit},
        failures::FailureStats,
        times::TimeStats,
    },
};

counters! {
    /// Everything the driver counts. Totals are since the last reset of the statistics, or since
    /// the driver was bound to the card. What an older driver does not count is zero or left out.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
    pub struct MemoryStats from stats: drm_pddgpu_query_memory_stats;

    keys {}
    counters {
        /// VRAM that buffers take up now.
        vram_used: Bytes in info,
        /// VRAM that is free now.
        vram_free: Bytes in info,
        /// Memory of GTT that buffers take up now, also while they pass through it.
        gtt_used: Bytes in info,
        /// Memory of GTT that buffers could still take up.
        gtt_free: Bytes in info,
        /// Memory of the CPU domain that buffers take up now.
        cpu_used: Bytes in info,
        /// Buffers created.
        total_allocations: Count in info,
        /// Buffers freed.
        total_deallocations: Count in info,
        /// Moves from one domain to another.
        total_moves: Count in info,
        /// Time that a creation took on average.
        avg_alloc_time_ns: Nanoseconds in info,
        /// Time that a free took on average.
        avg_free_time_ns: Nanoseconds in info,
        /// Time that a move took on average.
        avg_move_time_ns: Nanoseconds in info,
        /// Buffers alive for so long that they are suspected of being leaked.
        suspected_leaks: Count in info,
        /// Buffers alive for so long that they count as leaked.
        confirmed_leaks: Count in info,
        /// Buffers alive now.
        objects_live: Count,
        /// Moves that the kernel made to make room.
        evictions: Count,
        /// Memory that these moves moved.
        evicted_bytes: Bytes,
    }
    parts {
        /// Each kind of memory: VRAM, the part of it that the CPU can reach, GTT, CPU.
        heaps: Vec<HeapStats> = stats.heaps.iter().filter_map(HeapStats::known).collect(),
        /// How long creations took.
        alloc: TimeStats = TimeStats::from_raw(&stats.alloc),
        /// How long frees took.
        free: TimeStats = TimeStats::from_raw(&stats.free),
        /// How long moves took.
        #[serde(rename = "move")]
        moving: TimeStats = TimeStats::from_raw(&stats.move_),
        /// Moves by direction. Directions without any are left out.
        moves: Vec<MoveStats> = stats.moves.iter().filter_map(MoveStats::known).collect(),
        /// Creations that failed, by error. Errors that never came are left out.
        failures: Vec<FailureStats> = stats
            .failures
            .iter()
            .filter(|failure| failure.count != 0)
            .map(FailureStats::from_raw)
            .collect(),
    }
}

counters! {
    /// What buffers took from one kind of memory and gave back.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
    pub struct HeapStats from heap: drm_pddgpu_heap_stats, known_domain: Domain;

    keys {
        /// The kind of memory.
        domain: Domain = known_domain,
        /// Whether this is about the part of it that the CPU can reach.
        visible: bool = heap.flags & raw::PDDGPU_HEAP_STATS_VISIBLE != 0,
    }
    counters {
        /// Memory taken in all, by moves too.
        allocated: Bytes,
        /// Memory given back in all, by moves too.
        freed: Bytes,
        /// Memory taken up now.
        live: Bytes,
        /// The most memory taken up at once.
        peak: Bytes,
    }
    parts {}
}

counters! {
    /// Moves in one direction.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
    pub struct MoveStats from moves: drm_pddgpu_move_stats, known_from: Domain, known_to: Domain;

    keys {
        /// The domain that the buffers came from.
        from: Domain = known_from,
        /// The domain that they went to.
        to: Domain = known_to,
    }
    counters {
        /// Moves in this direction.
        count: Count,
        /// Memory that they moved.
        bytes: Bytes,
    }
    parts {}
}

impl Card {
    /// Asks for everything the driver counts.
    pub fn memory_stats(&self) -> Result<MemoryStats> {
        let stats: raw::drm_pddgpu_query_memory_stats = self
            .query(Query {
                number: raw::DRM_PDDGPU_QUERY_MEMORY_STATS,
                name: "QUERY memory statistics",
            })
            .map_err(Error::from_statistics_query)?;
        Ok(MemoryStats::from(&stats))
    }
}

impl MemoryStats {
    /// All counters there are, a table for each structure.
    pub fn counter_tables() -> Vec<CounterTable> {
        let times = [TimeStats::COUNTERS, TimeStats::DERIVED].concat();
        vec![
            CounterTable::new("", Self::STRUCTURE, Self::COUNTERS),
            CounterTable::new("heaps[]", HeapStats::STRUCTURE, HeapStats::COUNTERS),
            CounterTable::new("alloc, free, move", TimeStats::STRUCTURE, &times),
            CounterTable::new("moves[]", MoveStats::STRUCTURE, MoveStats::COUNTERS),
            CounterTable::new(
                "failures[]",
                FailureStats::STRUCTURE,
                FailureStats::COUNTERS,
            ),
        ]
    }
}

impl From<&raw::drm_pddgpu_query_memory_stats> for MemoryStats {
    fn from(stats: &raw::drm_pddgpu_query_memory_stats) -> Self {
        Self::from_raw(stats)
    }
}

impl HeapStats {
    /// `None` if the domain is not known.
    fn known(heap: &raw::drm_pddgpu_heap_stats) -> Option<Self> {
        Some(Self::from_raw(heap, Domain::from_bit(heap.domain)?))
    }
}

impl MoveStats {
    /// `None` if there were no moves in this direction, or its domains are not known.
    fn known(moves: &raw::drm_pddgpu_move_stats) -> Option<Self> {
        (moves.count != 0).then_some(())?;
        let (from, to) = (Domain::from_bit(moves.from)?, Domain::from_bit(moves.to)?);
        Some(Self::from_raw(moves, from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted() -> raw::drm_pddgpu_query_memory_stats {
        let mut stats = raw::drm_pddgpu_query_memory_stats {
            objects_live: 3,
            evictions: 2,
            evicted_bytes: 8192,
            ..Default::default()
        };
        stats.info.vram_used = 1 << 20;
        stats.info.confirmed_leaks = 1;
        stats.heaps[0].domain = 4;
        stats.heaps[0].peak = 99;
        stats.heaps[1].domain = 4;
        stats.heaps[1].flags = raw::PDDGPU_HEAP_STATS_VISIBLE;
        stats.alloc.count = 4;
        stats.moves[0].from = 4;
        stats.moves[0].to = 2;
        stats.moves[1].from = 4;
        stats.moves[1].to = 2;
        stats.moves[1].count = 2;
        stats.failures[0].error = 28;
        stats.failures[0].count = 7;
        stats.failures[1].count = 1;
        stats
    }

    #[test]
    fn what_was_counted_is_taken_over() {
        let stats = MemoryStats::from(&counted());
        assert_eq!((stats.vram_used, stats.confirmed_leaks), (1 << 20, 1));
        assert_eq!((stats.objects_live, stats.evictions), (3, 2));
        assert_eq!(stats.heaps.len(), 2);
        assert_eq!((stats.heaps[0].visible, stats.heaps[0].peak), (false, 99));
        assert!(stats.heaps[1].visible);
        assert_eq!(stats.moves.len(), 1);
        assert_eq!((stats.moves[0].to, stats.moves[0].count), (Domain::Gtt, 2));
        let names: Vec<_> = stats.failures.iter().map(FailureStats::name).collect();
        assert_eq!(names, ["ENOSPC", "other"]);
    }

    #[test]
    fn an_older_kernel_leaves_the_rest_zero() {
        let stats = MemoryStats::from(&raw::drm_pddgpu_query_memory_stats {
            info: counted().info,
            ..Default::default()
        });
        assert_eq!(stats.vram_used, 1 << 20);
        assert!(stats.heaps.is_empty() && stats.moves.is_empty() && stats.failures.is_empty());
        assert_eq!(stats.alloc, TimeStats::default());
    }

    #[test]
    fn json_has_every_counter_and_every_part() {
        let json = serde_json::to_value(MemoryStats::from(&counted())).unwrap();
        for counter in MemoryStats::COUNTERS {
            let name = counter.description.name;
            assert!(json[name].is_u64(), "{name}");
        }
        assert_eq!(json["heaps"][0]["peak"], 99);
        assert_eq!(json["alloc"]["count"], 4);
        assert_eq!(json["move"]["count"], 0);
        assert_eq!(json["moves"][0]["from"], "VRAM");
        assert_eq!(json["failures"][0]["name"], "ENOSPC");
        assert_eq!(json["failures"][1]["error"], serde_json::Value::Null);
    }
}
