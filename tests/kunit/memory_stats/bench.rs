// SPDX-License-Identifier: GPL-2.0

//! What the suites of the statistics test them with.

use kernel::{
    faux,
    prelude::*,
    sync::Arc, //
};

use crate::{
    abstractions::stackdepot::Trace,
    memory_stats::{
        leak::{
            track,
            Leak,
            LeakState,
            Owner,
            Tracked,
            Tracking, //
        },
        stats::{
            MemoryStats,
            Stats,
            NSEC_PER_MSEC, //
        }, //
    },
    uapi::{
        BoParam,
        Domain, //
    }, //
};

pub(super) const NSEC_PER_SEC: i64 = 1000 * NSEC_PER_MSEC;

/// Bytes of VRAM, visible VRAM, GTT, and no limit.
pub(super) const TOTALS: [u64; 4] = [100_000, 40_000, 200_000, 0];

/// Statistics whose leak check runs only when a test says so, and the device they are of.
pub(super) struct Bench {
    pub(super) stats: Arc<Stats>,
    _dev: faux::Registration,
}

impl Bench {
    pub(super) fn new() -> Result<Self> {
        let dev = faux::Registration::new(c"pddgpu-kunit", None)?;
        let stats = MemoryStats::init(dev.as_ref().as_ref(), TOTALS, || 0)?;

        stats.set_leak_check_interval(0)?;
        Ok(Self { stats, _dev: dev })
    }

    /// A tracked buffer that was created now.
    pub(super) fn track(&self, id: u64) -> Result<Pin<KBox<Tracking>>> {
        self.track_sized(id, 4096)
    }

    pub(super) fn track_sized(&self, id: u64, size: u64) -> Result<Pin<KBox<Tracking>>> {
        self.track_by(42, id, size)
    }

    /// A tracked buffer of `size` bytes that process `pid` created now.
    pub(super) fn track_by(&self, pid: i32, id: u64, size: u64) -> Result<Pin<KBox<Tracking>>> {
        let owner = Owner {
            client: 7,
            pid,
            comm: *b"kunit\0\0\0\0\0\0\0\0\0\0\0",
        };

        KBox::pin_init(
            track(
                self.stats.tracker.clone(),
                Tracked::new(
                    id,
                    BoParam::new(size, 0, Domain::Vram as u32, 0)?,
                    self.stats.clock.coarse(),
                    owner,
                    Trace::default(),
                ),
            ),
            GFP_KERNEL,
        )
    }

    pub(super) fn after(&self, seconds: i64) {
        self.stats.clock.advance(seconds * NSEC_PER_SEC);
    }

    /// How many buffers are young, suspected, confirmed.
    pub(super) fn states(&self) -> [usize; 3] {
        [LeakState::Young, LeakState::Suspected, LeakState::Confirmed]
            .map(|state| self.stats.leaks(state))
    }
}

impl MemoryStats {
    /// The buffers in `states` for which `wanted` returns `true`, oldest first.
    pub(crate) fn list(
        &self,
        states: &[LeakState],
        wanted: impl Fn(&Leak) -> bool,
    ) -> Result<KVVec<Leak>> {
        let mut walk = self.walk(LeakState::Young)?;
        let mut leaks = KVVec::new();

        while let Some(leak) =
            walk.next(self, |leak| states.contains(&leak.state) && wanted(leak))?
        {
            leaks.push(leak, GFP_KERNEL)?;
        }
        Ok(leaks)
    }

    /// The suspected and confirmed leaks, oldest first.
    pub(crate) fn leak_list(&self) -> Result<KVVec<Leak>> {
        let mut walk = self.walk(LeakState::Suspected)?;
        let mut leaks = KVVec::new();

        while let Some(leak) = walk.next(self, |_| true)? {
            leaks.push(leak, GFP_KERNEL)?;
        }
        Ok(leaks)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stats.stop();
    }
}
