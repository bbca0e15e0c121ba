// SPDX-License-Identifier: GPL-2.0

//! What the driver counts: bytes, buffers, moves, failures and times.

use std::borrow::Cow;

use rustix::io::Errno;
use serde::{ser::SerializeStruct, Serialize, Serializer};

use crate::{raw, Card, Domain, Histogram};

/// Everything the driver counts. Totals are since the last reset of the statistics, or since the
/// driver was bound to the card; what an older driver does not count is zero or left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemoryStats {
    /// Bytes of VRAM that buffers take up now.
    pub vram_used: u64,
    /// Bytes of VRAM that are free now.
    pub vram_free: u64,
    /// Bytes of GTT address space that buffers take up now.
    pub gtt_used: u64,
    /// Bytes of GTT address space that buffers could still take up.
    pub gtt_free: u64,
    /// Bytes of the CPU domain that buffers take up now.
    pub cpu_used: u64,
    /// Buffers created.
    pub total_allocations: u64,
    /// Buffers freed.
    pub total_deallocations: u64,
    /// Moves from one domain to another.
    pub total_moves: u64,
    /// What a creation took on average, in ns.
    pub avg_alloc_time_ns: u64,
    /// What a free took on average, in ns.
    pub avg_free_time_ns: u64,
    /// What a move took on average, in ns.
    pub avg_move_time_ns: u64,
    /// Buffers alive for so long that they are suspected of being leaked.
    pub suspected_leaks: u64,
    /// Buffers alive for so long that they count as leaked.
    pub confirmed_leaks: u64,
    /// Buffers alive now.
    pub objects_live: u64,
    /// Moves the kernel made to make room.
    pub evictions: u64,
    /// Bytes they moved.
    pub evicted_bytes: u64,
    /// By kind of memory: VRAM, the part of it that the CPU can reach, GTT, CPU.
    pub heaps: Vec<HeapStats>,
    /// How long creations took.
    pub alloc: TimeStats,
    /// How long frees took.
    pub free: TimeStats,
    /// How long moves took.
    #[serde(rename = "move")]
    pub moving: TimeStats,
    /// Moves by direction; directions without any are left out.
    pub moves: Vec<MoveStats>,
    /// Creations that failed, by error; errors that never came are left out.
    pub failures: Vec<FailureStats>,
}

/// What buffers took from one kind of memory and gave back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeapStats {
    /// Which one.
    pub domain: Domain,
    /// Whether this is about the part of it that the CPU can reach.
    pub visible: bool,
    /// Bytes taken, by moves too.
    pub allocated: u64,
    /// Bytes given back, by moves too.
    pub freed: u64,
    /// Bytes taken up now.
    pub live: u64,
    /// The most bytes taken up at once.
    pub peak: u64,
}

/// How long operations of one kind took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeStats {
    /// Operations that succeeded.
    pub count: u64,
    /// What they took in all, in ns.
    pub total_ns: u64,
    /// What the longest took, in ns.
    pub max_ns: u64,
    /// How many took how long.
    pub histogram: Histogram,
}

/// Moves in one direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MoveStats {
    /// Where the buffers came from.
    pub from: Domain,
    /// Where they went to.
    pub to: Domain,
    /// How many moves.
    pub count: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// Creations that failed in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureStats {
    /// The error number; none for all errors that are not counted apart.
    pub error: Option<u32>,
    /// How often.
    pub count: u64,
}

impl Card {
    /// Asks for everything the driver counts.
    pub fn memory_stats(&self) -> crate::Result<MemoryStats> {
        let mut words = [0; size_of::<raw::drm_pddgpu_query_memory_stats>() / size_of::<u64>()];
        self.query_stats(
            "QUERY memory statistics",
            raw::DRM_PDDGPU_QUERY_MEMORY_STATS,
            &mut words,
        )?;
        // SAFETY: The structure is integers only, for which any bits are a value, and the words are
        // of its size and alignment.
        let stats: raw::drm_pddgpu_query_memory_stats = unsafe { std::mem::transmute(words) };
        Ok(stats.into())
    }
}

impl From<raw::drm_pddgpu_query_memory_stats> for MemoryStats {
    fn from(stats: raw::drm_pddgpu_query_memory_stats) -> Self {
        let info = stats.info;
        Self {
            vram_used: info.vram_used,
            vram_free: info.vram_free,
            gtt_used: info.gtt_used,
            gtt_free: info.gtt_free,
            cpu_used: info.cpu_used,
            total_allocations: info.total_allocations,
            total_deallocations: info.total_deallocations,
            total_moves: info.total_moves,
            avg_alloc_time_ns: info.avg_alloc_time_ns,
            avg_free_time_ns: info.avg_free_time_ns,
            avg_move_time_ns: info.avg_move_time_ns,
            suspected_leaks: info.suspected_leaks,
            confirmed_leaks: info.confirmed_leaks,
            objects_live: stats.objects_live,
            evictions: stats.evictions,
            evicted_bytes: stats.evicted_bytes,
            heaps: stats.heaps.iter().filter_map(HeapStats::known).collect(),
            alloc: stats.alloc.into(),
            free: stats.free.into(),
            moving: stats.move_.into(),
            moves: stats.moves.iter().filter_map(MoveStats::known).collect(),
            failures: stats
                .failures
                .iter()
                .filter_map(FailureStats::known)
                .collect(),
        }
    }
}

impl HeapStats {
    fn known(heap: &raw::drm_pddgpu_heap_stats) -> Option<Self> {
        Some(Self {
            domain: Domain::from_bit(heap.domain)?,
            visible: heap.flags & raw::PDDGPU_HEAP_STATS_VISIBLE != 0,
            allocated: heap.allocated,
            freed: heap.freed,
            live: heap.live,
            peak: heap.peak,
        })
    }
}

impl TimeStats {
    /// What an operation took on average, in ns; 0 if there was none.
    pub fn avg_ns(&self) -> u64 {
        self.total_ns.checked_div(self.count).unwrap_or(0)
    }

    /// A time in ns that `percent` of 100 operations did not exceed: the upper bound of the
    /// histogram's entry, or the longest time where that is less. 0 if there was none.
    pub fn percentile_ns(&self, percent: f64) -> u64 {
        self.histogram.percentile(percent).min(self.max_ns)
    }
}

impl From<raw::drm_pddgpu_time_stats> for TimeStats {
    fn from(times: raw::drm_pddgpu_time_stats) -> Self {
        Self {
            count: times.count,
            total_ns: times.total_ns,
            max_ns: times.max_ns,
            histogram: Histogram(times.histogram),
        }
    }
}

impl Serialize for TimeStats {
    /// With the figures that follow from those counted.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("TimeStats", 7)?;
        out.serialize_field("count", &self.count)?;
        out.serialize_field("total_ns", &self.total_ns)?;
        out.serialize_field("avg_ns", &self.avg_ns())?;
        out.serialize_field("p50_ns", &self.percentile_ns(50.0))?;
        out.serialize_field("p99_ns", &self.percentile_ns(99.0))?;
        out.serialize_field("max_ns", &self.max_ns)?;
        out.serialize_field("histogram", &self.histogram)?;
        out.end()
    }
}

impl MoveStats {
    fn known(moves: &raw::drm_pddgpu_move_stats) -> Option<Self> {
        (moves.count != 0).then_some(())?;
        Some(Self {
            from: Domain::from_bit(moves.from)?,
            to: Domain::from_bit(moves.to)?,
            count: moves.count,
            bytes: moves.bytes,
        })
    }
}

impl FailureStats {
    fn known(failure: &raw::drm_pddgpu_failure_stats) -> Option<Self> {
        (failure.count != 0).then_some(Self {
            error: Some(failure.error).filter(|&error| error != 0),
            count: failure.count,
        })
    }

    /// The error's name, such as `ENOSPC`.
    pub fn name(&self) -> Cow<'static, str> {
        let Some(error) = self.error else {
            return "other".into();
        };
        NAMES
            .iter()
            .find(|(errno, _)| errno.raw_os_error().unsigned_abs() == error)
            .map_or_else(|| format!("errno {error}").into(), |&(_, name)| name.into())
    }
}

impl Serialize for FailureStats {
    /// With the error's name.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("FailureStats", 3)?;
        out.serialize_field("error", &self.error)?;
        out.serialize_field("name", &self.name())?;
        out.serialize_field("count", &self.count)?;
        out.end()
    }
}

/// The errors that a creation may end with, and those a signal makes of it inside the kernel.
const NAMES: [(Errno, &str); 17] = [
    (Errno::PERM, "EPERM"),
    (Errno::NOENT, "ENOENT"),
    (Errno::INTR, "EINTR"),
    (Errno::IO, "EIO"),
    (Errno::TOOBIG, "E2BIG"),
    (Errno::AGAIN, "EAGAIN"),
    (Errno::NOMEM, "ENOMEM"),
    (Errno::FAULT, "EFAULT"),
    (Errno::BUSY, "EBUSY"),
    (Errno::NODEV, "ENODEV"),
    (Errno::INVAL, "EINVAL"),
    (Errno::NOSPC, "ENOSPC"),
    (Errno::DEADLK, "EDEADLK"),
    (Errno::TIME, "ETIME"),
    (Errno::OVERFLOW, "EOVERFLOW"),
    (Errno::TIMEDOUT, "ETIMEDOUT"),
    (Errno::from_raw_os_error(512), "ERESTARTSYS"),
];

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
        stats.alloc.total_ns = 10_000;
        stats.alloc.max_ns = 5000;
        stats.alloc.histogram[10] = 3;
        stats.alloc.histogram[12] = 1;
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
        let stats = MemoryStats::from(counted());
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
    fn no_percentile_is_above_the_longest_time() {
        let stats = MemoryStats::from(counted());
        assert_eq!(stats.alloc.avg_ns(), 2500);
        assert_eq!(stats.alloc.percentile_ns(50.0), 2048);
        assert_eq!(stats.alloc.percentile_ns(99.0), 5000);
        assert_eq!(stats.free.percentile_ns(99.0), 0);
        assert_eq!(stats.free.avg_ns(), 0);
    }

    #[test]
    fn an_older_kernel_leaves_the_rest_zero() {
        let stats = MemoryStats::from(raw::drm_pddgpu_query_memory_stats {
            info: counted().info,
            ..Default::default()
        });
        assert_eq!(stats.vram_used, 1 << 20);
        assert!(stats.heaps.is_empty() && stats.moves.is_empty() && stats.failures.is_empty());
        assert_eq!(stats.alloc, TimeStats::default());
    }

    #[test]
    fn json_has_what_follows_from_the_counters() {
        let json = serde_json::to_value(MemoryStats::from(counted())).unwrap();
        assert_eq!(json["alloc"]["p50_ns"], 2048);
        assert_eq!(json["move"]["count"], 0);
        assert_eq!(json["moves"][0]["from"], "VRAM");
        assert_eq!(json["failures"][0]["name"], "ENOSPC");
        assert_eq!(json["failures"][1]["error"], serde_json::Value::Null);
    }

    #[test]
    fn unknown_errors_are_numbers() {
        let failure = FailureStats {
            error: Some(4000),
            count: 1,
        };
        assert_eq!(failure.name(), "errno 4000");
    }
}
