// SPDX-License-Identifier: GPL-2.0

//! What the engine knows, and what it will be told.

use kernel::{
    list::{
        List,
        ListArc, //
    },
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    }, //
};

use super::{
    job::{
        Job,
        Progress, //
    },
    ring::{
        CommandRing,
        InterruptRing, //
    },
    CopyEngine, //
};
use crate::{
    dma::fence::Context,
    gmc::Carveout,
    gtt_mgr::GTT_NUM_TRANSFER_WINDOWS, //
};

/// How far the engine is with what it was asked for.
pub(super) struct State {
    /// [`None`] while the engine is not started.
    pub(super) context: Option<Arc<Context<CopyEngine>>>,
    pub(super) commands: CommandRing,
    pub(super) interrupts: InterruptRing,
    /// Jobs of which the engine knows nothing.
    pub(super) waiting: List<Job>,
    /// The job of which it knows a part, and which.
    pub(super) current: Option<(ListArc<Job>, Progress)>,
    /// Jobs of which it knows all.
    pub(super) running: List<Job>,
    /// Number of the last fence packet in the ring.
    pub(super) seqno: u64,
    /// Number of the last one that was reached.
    pub(super) completed: u64,
    /// The fence packet after which each transfer window is free.
    pub(super) windows: [u64; GTT_NUM_TRANSFER_WINDOWS as usize],
    /// When the last job ended, in ns.
    pub(super) last_end: i64,
    /// Where the engine was last seen, and the ns since when.
    pub(super) seen: ((u64, u32), u64),
    /// Whether somebody looks after the engine.
    pub(super) watched: bool,
}

impl State {
    /// Of an engine that is not started, with `carveout` for its own.
    ///
    /// # Errors
    ///
    /// `EOVERFLOW` for rings that are too large.
    pub(super) fn new(carveout: &Carveout) -> Result<Self> {
        Ok(Self {
            context: None,
            commands: CommandRing::new(&carveout.commands)?,
            interrupts: InterruptRing::new(&carveout.interrupts)?,
            waiting: List::new(),
            current: None,
            running: List::new(),
            seqno: 0,
            completed: 0,
            windows: Default::default(),
            last_end: 0,
            seen: Default::default(),
            watched: false,
        })
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.current.is_none() && self.running.is_empty()
    }

    /// The job that the engine is at.
    pub(super) fn first(&self) -> Option<ArcBorrow<'_, Job>> {
        let current = self.current.as_ref();

        self.running
            .iter()
            .next()
            .or_else(|| current.map(|(job, _)| job.as_arc_borrow()))
    }

    /// Forgets what the engine was told.
    pub(super) fn begin_again(&mut self) {
        if let Some((job, _)) = self.current.take() {
            self.waiting.push_front(job);
        }
        while let Some(job) = self.running.pop_back() {
            self.waiting.push_front(job);
        }
        self.windows = Default::default();
    }
}
