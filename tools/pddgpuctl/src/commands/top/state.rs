// SPDX-License-Identifier: GPL-2.0

//! What the screen shows: the latest figures, and what follows from the figures before them.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use pddgpu::{Domain, MemoryStats};

use crate::commands::top::{source::Sample, view::View};

/// How many samples the bars go back. No terminal has as many columns.
const HISTORY: usize = 1000;

pub struct State {
    /// The name of the card.
    pub title: String,
    /// The time between two samples.
    pub interval: Duration,
    /// The latest sample.
    pub now: Sample,
    pub rates: Rates,
    pub bars: Vec<Bars>,
    /// Bytes a second that were moved, the latest first.
    pub traffic: VecDeque<u64>,
    pub view: View,
    /// When the latest sample was taken.
    taken: Instant,
}

/// Operations a second between the last two samples.
#[derive(Default)]
pub struct Rates {
    pub alloc: f64,
    pub free: f64,
    pub moving: f64,
    /// Bytes moved.
    pub moved: f64,
}

/// How full one kind of memory is now and was before.
pub struct Bars {
    pub name: &'static str,
    /// Bytes in use now.
    pub used: u64,
    /// Bytes that there are.
    pub total: u64,
    /// The most bytes that buffers took up at once, if the driver counts that.
    pub peak: Option<u64>,
    /// The part in use at each sample, in thousandths. The latest sample comes first.
    pub history: VecDeque<u64>,
}

impl State {
    /// The state after the first sample.
    pub fn new(title: String, interval: Duration, sample: Sample) -> Self {
        let mut state = Self {
            title,
            interval,
            now: sample,
            rates: Rates::default(),
            bars: Vec::new(),
            traffic: VecDeque::new(),
            view: View::default(),
            taken: Instant::now(),
        };
        state.record();
        state
    }

    /// Takes over a sample that was taken at this time.
    pub fn update(&mut self, sample: Sample, taken: Instant) {
        let seconds = taken.saturating_duration_since(self.taken).as_secs_f64();
        self.rates = Rates::between(&self.now.stats, &sample.stats, seconds);
        self.traffic.push_front(self.rates.moved as u64);
        self.traffic.truncate(HISTORY);
        self.taken = taken;
        self.now = sample;
        self.record();
    }

    /// Adds the latest sample to the history of each bar.
    fn record(&mut self) {
        for fill in fills(&self.now) {
            match self.bars.iter_mut().find(|bars| bars.name == fill.name) {
                Some(bars) => {
                    let mut history = std::mem::take(&mut bars.history);
                    history.extend(fill.history.iter());
                    history.rotate_right(fill.history.len());
                    history.truncate(HISTORY);
                    *bars = Bars { history, ..fill };
                }
                None => self.bars.push(fill),
            }
        }
    }
}

impl Rates {
    /// A counter that is less than before was reset meanwhile. Since then it counted as many
    /// operations as it says.
    fn between(before: &MemoryStats, after: &MemoryStats, seconds: f64) -> Self {
        let rate = |before: u64, after: u64| {
            let count = after.checked_sub(before).unwrap_or(after);
            if seconds > 0.0 {
                count as f64 / seconds
            } else {
                0.0
            }
        };
        let moved = |stats: &MemoryStats| stats.moves.iter().map(|moves| moves.bytes).sum();
        Self {
            moved: rate(moved(before), moved(after)),
            alloc: rate(before.alloc.count, after.alloc.count),
            free: rate(before.free.count, after.free.count),
            moving: rate(before.moving.count, after.moving.count),
        }
    }
}

/// How full each kind of memory is now. The history has only this sample.
fn fills(sample: &Sample) -> Vec<Bars> {
    let mut fills = Vec::new();
    for heap in &sample.heaps {
        let fill = |name, visible, used, total: u64| Bars {
            name,
            used,
            total,
            peak: peak(&sample.stats, heap.domain, visible),
            history: [thousandths(used, total)].into(),
        };
        let (used, total) = (heap.used, heap.total);
        match heap.domain {
            Domain::Vram => {
                fills.push(fill("VRAM", false, used, total));
                let (used, total) = (heap.visible_used, heap.visible_total);
                fills.push(fill("VRAM visible", true, used, total));
            }
            Domain::Gtt => fills.push(fill("GTT", false, used, total)),
            Domain::Cpu => fills.push(fill("CPU", false, used, total)),
        }
    }
    fills
}

fn peak(stats: &MemoryStats, domain: Domain, visible: bool) -> Option<u64> {
    stats
        .heaps
        .iter()
        .find(|heap| heap.domain == domain && heap.visible == visible)
        .map(|heap| heap.peak)
}

/// The part of `total` that `used` is, in thousandths. It is rounded up, so that only nothing is 0.
fn thousandths(used: u64, total: u64) -> u64 {
    let part = (u128::from(used) * 1000).div_ceil(u128::from(total.max(1)));
    part.min(1000) as u64
}

#[cfg(test)]
mod tests {
    use pddgpu::Heap;

    use super::*;

    fn sample(used: u64, allocations: u64) -> Sample {
        let mut sample = Sample {
            heaps: vec![Heap {
                domain: Domain::Vram,
                total: 1000,
                usable: 1000,
                used,
                reserved: 0,
                visible_total: 500,
                visible_used: used.min(500),
            }],
            ..Default::default()
        };
        sample.stats.alloc.count = allocations;
        sample
    }

    #[test]
    fn the_history_begins_with_the_latest_sample() {
        let mut state = State::new(String::new(), Duration::from_secs(1), sample(100, 0));
        let start = state.taken;
        for n in 2..=HISTORY as u64 + 5 {
            state.update(sample(n % 900, 0), start + Duration::from_secs(n));
        }
        let vram = &state.bars[0];
        assert_eq!((vram.name, vram.used), ("VRAM", 105));
        assert_eq!(vram.history.len(), HISTORY);
        assert_eq!([vram.history[0], vram.history[1]], [105, 104]);
        assert_eq!(state.bars[1].name, "VRAM visible");
        assert_eq!(state.bars[1].history[0], 210);
    }

    #[test]
    fn rates_are_those_since_the_sample_before() {
        let mut state = State::new(String::new(), Duration::from_secs(1), sample(0, 10));
        let start = state.taken;
        state.update(sample(0, 30), start + Duration::from_secs(2));
        assert_eq!(state.rates.alloc, 10.0);
        state.update(sample(0, 4), start + Duration::from_secs(4));
        assert_eq!(state.rates.alloc, 2.0);
        state.update(sample(0, 4), start + Duration::from_secs(4));
        assert_eq!(state.rates.alloc, 0.0);
    }

    #[test]
    fn little_is_not_nothing_and_nothing_divides_nothing() {
        assert_eq!(thousandths(1, 1 << 40), 1);
        assert_eq!(thousandths(0, 0), 0);
        assert_eq!(thousandths(u64::MAX, 1), 1000);
        assert_eq!(thousandths(1 << 39, 1 << 40), 500);
    }
}
