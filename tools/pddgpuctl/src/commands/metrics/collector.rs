// SPDX-License-Identifier: GPL-2.0

//! The figures as metrics. Names and units follow Prometheus's rules: base units, `_total` for what
//! is counted.

use std::fmt;

use pddgpu::{Domain, HeapStats, MemoryStats, TimeStats};
use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, EncodeLabel, EncodeLabelSet, EncodeMetric, LabelSetEncoder,
        MetricEncoder, NoLabelSet,
    },
    metrics::{counter::ConstCounter, gauge::ConstGauge, MetricType},
    registry::Unit,
};

use crate::commands::metrics::sample::{OwnerOf, Sample};

/// The figures of a moment.
#[derive(Debug)]
pub struct Figures(Sample);

impl Figures {
    pub fn of(sample: Sample) -> Self {
        Self(sample)
    }
}

/// Names and values of labels.
#[derive(Clone, Debug)]
struct Labels(Vec<(&'static str, String)>);

impl EncodeLabelSet for Labels {
    fn encode(&self, mut encoder: LabelSetEncoder<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(name, value)| (*name, escaped(value)).encode(encoder.encode_label()))
    }
}

/// A value between quotation marks, which the crate leaves to its users. Processes name themselves.
fn escaped(value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    value.replace('\n', "\\n")
}

/// A histogram whose buckets the driver has filled.
struct Times<'a>(&'a TimeStats);

impl EncodeMetric for Times<'_> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let mut buckets: Vec<(f64, u64)> = Vec::new();
        for (power, count) in self.0.histogram.0.iter().enumerate() {
            // The last one has no end.
            let end = match power + 1 {
                end if end < self.0.histogram.0.len() => (1u64 << end) as f64 / 1e9,
                _ => f64::MAX,
            };
            buckets.push((end, *count));
        }
        let seconds = self.0.total_ns as f64 / 1e9;
        encoder.encode_histogram::<NoLabelSet>(seconds, self.0.histogram.count(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// One metric with a value for each set of labels.
struct Family<'a, 'b> {
    encoder: &'a mut DescriptorEncoder<'b>,
    card: &'a str,
}

impl Family<'_, '_> {
    fn labels(&self, labels: &[(&'static str, String)]) -> Labels {
        let mut all = vec![("card", self.card.to_owned())];
        all.extend_from_slice(labels);
        Labels(all)
    }

    /// Writes a metric: its name, what it means, and its values with their labels.
    fn metric<M: EncodeMetric>(
        &mut self,
        (name, help, unit): (&str, &str, Option<Unit>),
        values: impl IntoIterator<Item = (Vec<(&'static str, String)>, M)>,
    ) -> fmt::Result {
        let mut values = values.into_iter().peekable();
        let Some((_, first)) = values.peek() else {
            return Ok(());
        };
        let kind = first.metric_type();
        let values: Vec<_> = values
            .map(|(labels, value)| (self.labels(&labels), value))
            .collect();
        let mut encoder = self
            .encoder
            .encode_descriptor(name, help, unit.as_ref(), kind)?;
        for (labels, value) in values {
            value.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

const BYTES: Option<Unit> = Some(Unit::Bytes);

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = Family {
            encoder: &mut encoder,
            card: &self.0.card,
        };
        heaps(&mut family, &self.0)?;
        owners(&mut family, &self.0.owners)?;
        traffic(&mut family, &self.0.stats)?;
        events(&mut family, &self.0.stats)
    }
}

fn heap_name(domain: Domain) -> Vec<(&'static str, String)> {
    vec![("heap", domain.to_string().to_lowercase())]
}

fn gauge(value: u64) -> ConstGauge<u64> {
    ConstGauge::new(value)
}

fn heaps(family: &mut Family<'_, '_>, sample: &Sample) -> fmt::Result {
    type Value = fn(&pddgpu::Heap) -> u64;
    let metrics: [(&str, &str, Value); 6] = [
        ("pddgpu_heap_size", "Bytes of the heap", |heap| heap.total),
        (
            "pddgpu_heap_usable",
            "Bytes that buffers may take up",
            |heap| heap.usable,
        ),
        (
            "pddgpu_heap_used",
            "Bytes in use, reserved ones included",
            |heap| heap.used,
        ),
        (
            "pddgpu_heap_reserved",
            "Bytes that no buffer can have",
            |heap| heap.reserved,
        ),
        (
            "pddgpu_heap_visible_size",
            "Bytes that the CPU can reach",
            |heap| heap.visible_total,
        ),
        (
            "pddgpu_heap_visible_used",
            "Bytes in use that the CPU can reach",
            |heap| heap.visible_used,
        ),
    ];
    for (name, help, value) in metrics {
        let values = sample.heaps.iter();
        let values = values.map(|heap| (heap_name(heap.domain), gauge(value(heap))));
        family.metric((name, help, BYTES), values)?;
    }
    let alive = &sample.stats;
    let buffers = [(vec![], gauge(alive.objects_live))];
    family.metric(("pddgpu_buffers", "Buffers alive", None), buffers)?;
    let leaks = [
        ("suspected", alive.suspected_leaks),
        ("confirmed", alive.confirmed_leaks),
    ];
    let leaks = leaks.map(|(state, count)| (vec![("state", state.to_owned())], gauge(count)));
    family.metric(("pddgpu_leaks", "Buffers that look leaked", None), leaks)
}

fn owners(family: &mut Family<'_, '_>, owners: &[OwnerOf]) -> fmt::Result {
    let labels = |OwnerOf { owner, cgroup_path }: &OwnerOf| {
        let kind = serde_json::to_value(owner.kind).unwrap_or_default();
        let number = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
        vec![
            ("owner", kind.as_str().unwrap_or_default().to_owned()),
            ("client", number(owner.client)),
            ("pid", number(owner.pid.map(u64::from))),
            ("command", owner.command.clone()),
            ("name", owner.name.clone()),
            (
                "cgroup",
                owner
                    .cgroup
                    .map_or_else(String::new, |_| cgroup_path.clone()),
            ),
        ]
    };
    let bytes = owners.iter().flat_map(|owner| {
        Domain::ALL.map(|domain| {
            let labels = [labels(owner), heap_name(domain)].concat();
            (labels, gauge(owner.owner.bytes(domain)))
        })
    });
    let help = "Bytes of a heap by whom they belong to; their sum is the size of the heap";
    family.metric(("pddgpu_owner", help, BYTES), bytes)?;
    let buffers = owners
        .iter()
        .map(|owner| (labels(owner), gauge(owner.owner.buffers)));
    family.metric(
        (
            "pddgpu_owner_buffers",
            "Buffers by whom they belong to",
            None,
        ),
        buffers,
    )
}

fn traffic(family: &mut Family<'_, '_>, stats: &MemoryStats) -> fmt::Result {
    type Value = fn(&HeapStats) -> u64;
    let labels = |heap: &HeapStats| {
        let part = if heap.visible { "visible" } else { "all" };
        [heap_name(heap.domain), vec![("part", part.to_owned())]].concat()
    };
    let counters: [(&str, &str, Value); 2] = [
        (
            "pddgpu_heap_allocated",
            "Bytes taken, by moves too",
            |heap| heap.allocated,
        ),
        (
            "pddgpu_heap_freed",
            "Bytes given back, by moves too",
            |heap| heap.freed,
        ),
    ];
    for (name, help, value) in counters {
        let values = stats.heaps.iter();
        let values = values.map(|heap| (labels(heap), ConstCounter::new(value(heap))));
        family.metric((name, help, BYTES), values)?;
    }
    let peaks = stats
        .heaps
        .iter()
        .map(|heap| (labels(heap), gauge(heap.peak)));
    let peak = ("pddgpu_heap_peak", "The most bytes taken up at once", BYTES);
    family.metric(peak, peaks)?;
    let moves = |value: fn(&pddgpu::MoveStats) -> u64| {
        stats.moves.iter().map(move |moves| {
            let name = |domain: Domain| domain.to_string().to_lowercase();
            let labels = vec![("from", name(moves.from)), ("to", name(moves.to))];
            (labels, ConstCounter::new(value(moves)))
        })
    };
    family.metric(
        ("pddgpu_moves", "Moves by direction", None),
        moves(|moves| moves.count),
    )?;
    family.metric(
        ("pddgpu_moved", "Bytes moved", BYTES),
        moves(|moves| moves.bytes),
    )
}

fn events(family: &mut Family<'_, '_>, stats: &MemoryStats) -> fmt::Result {
    let count = |value: u64| [(vec![], ConstCounter::new(value))];
    let evictions = ("pddgpu_evictions", "Moves made to make room", None);
    family.metric(evictions, count(stats.evictions))?;
    let evicted = ("pddgpu_evicted", "Bytes moved to make room", BYTES);
    family.metric(evicted, count(stats.evicted_bytes))?;
    let failures = stats.failures.iter();
    let failures = failures.map(|failure| {
        let labels = vec![("error", failure.name().into_owned())];
        (labels, ConstCounter::new(failure.count))
    });
    family.metric(
        ("pddgpu_failed_creations", "Creations that failed", None),
        failures,
    )?;
    let times = [
        ("create", &stats.alloc),
        ("free", &stats.free),
        ("move", &stats.moving),
    ];
    let times = times.map(|(name, times)| (vec![("operation", name.to_owned())], Times(times)));
    let help = "Time that operations took";
    family.metric(
        ("pddgpu_operation_duration", help, Some(Unit::Seconds)),
        times,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_ends_a_label() {
        let hostile = "a\"} 1\nb\\";
        assert_eq!(escaped(hostile), r#"a\"} 1\nb\\"#);
    }
}
