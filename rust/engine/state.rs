// SPDX-License-Identifier: GPL-2.0

//! What the engine will be told, and how.

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
    ring::CommandRing,
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
    /// Jobs of which the engine knows nothing.
    pub(super) waiting: List<Job>,
    /// The job of which it knows a part, and which.
    pub(super) current: Option<(ListArc<Job>, Progress)>,
    /// The fence packet after which each transfer window is free.
    pub(super) windows: [u64; GTT_NUM_TRANSFER_WINDOWS as usize],
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
    /// `EINVAL` for rings that are too large.
    pub(super) fn new(carveout: &Carveout) -> Result<Self> {
        Ok(Self {
            context: None,
            commands: CommandRing::new(&carveout.commands)?,
            waiting: List::new(),
            current: None,
            windows: Default::default(),
            seen: Default::default(),
            watched: false,
        })
    }

    /// The job that the engine is at, where `told` are those of which it knows all.
    pub(super) fn first<'a>(&'a self, told: &'a List<Job>) -> Option<ArcBorrow<'a, Job>> {
        let current = self.current.as_ref();

        told.iter()
            .next()
            .or_else(|| current.map(|(job, _)| job.as_arc_borrow()))
    }

    /// Forgets what the engine was told, `told` too.
    pub(super) fn begin_again(&mut self, told: &mut List<Job>) {
        if let Some((job, _)) = self.current.take() {
            self.waiting.push_front(job);
        }
        while let Some(job) = told.pop_back() {
            self.waiting.push_front(job);
        }
        self.windows = Default::default();
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/state.rs"]
mod kunit;
