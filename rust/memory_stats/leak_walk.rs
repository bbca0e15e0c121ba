// SPDX-License-Identifier: GPL-2.0

//! Walks over the tracked buffers, for the reports and the log.
//!
//! A walk may take as long as its user likes. It holds the tracker's lock for a few buffers at a
//! time, and buffers are created and freed meanwhile. It returns each buffer that is there all the
//! time once, and none twice. Buffers that are created after it began are left out, so it ends.

use core::cmp::Reverse;

use kernel::{
    prelude::*,
    rbtree::RBTree, //
};

use crate::{
    abstractions::{
        aging_list::{
            Cursor,
            Totals, //
        },
        task, //
    },
    memory_stats::{
        leak::{
            Leak,
            LeakState,
            Owner,
            Tracked,
            Tracker, //
        },
        stats::MemoryStats, //
    }, //
};

/// A walk over all buffers, the oldest first.
pub(crate) struct Walk {
    cursor: Cursor<Tracked, { LeakState::ALL.len() }>,
    /// The state at which the walk ends, if it meets a buffer of a younger one.
    youngest: LeakState,
    /// When it began, in ns of the statistics' coarse clock.
    began: i64,
}

impl MemoryStats {
    /// A walk over the buffers that have reached the state `youngest`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn walk(&self, youngest: LeakState) -> Result<Walk> {
        Ok(Walk {
            cursor: Cursor::new(self.tracker.clone())?,
            youngest,
            began: self.clock.coarse(),
        })
    }
}

impl Walk {
    /// The next buffer for which `wanted` returns `true`, [`None`] at the end. `wanted` must not
    /// sleep. `stats` are those that the walk was made by.
    ///
    /// # Errors
    ///
    /// `EINTR` if the process is being killed.
    pub(crate) fn next(
        &mut self,
        stats: &MemoryStats,
        wanted: impl Fn(&Leak) -> bool,
    ) -> Result<Option<Leak>> {
        let now = stats.clock.coarse();
        let (youngest, began) = (self.youngest.generation(), self.began);
        let found = self.cursor.find_map(|tracked, generation| {
            if generation < youngest || tracked.created > began {
                return Some(None);
            }

            let leak = Leak::new(tracked, LeakState::from_generation(generation), now);
            wanted(&leak).then_some(Some(leak))
        })?;

        Ok(found.flatten())
    }
}

/// A walk over the suspected and confirmed leaks by process. The process with the most bytes comes
/// first; the order is that of the moment when the walk came to the first process. The leaks of a
/// process come oldest first, so the confirmed ones come before the suspected ones.
pub(crate) struct WalkByProcess {
    at: Position,
    /// The processes that are still to come, in their order. It is all that a walk has to keep,
    /// because the order must not change on the way.
    processes: Processes,
    /// When it began, in ns of the statistics' coarse clock.
    began: i64,
}

/// Processes by the bytes of their leaks, and then by PID.
type Processes = RBTree<(Reverse<u64>, i32), ()>;

/// What a [`WalkByProcess`] finds next.
#[derive(Clone, Copy)]
enum Position {
    /// The number of leaks.
    Counts,
    /// The first process.
    FirstProcess,
    /// The next process.
    Process,
    /// The leaks of the process with this PID after the one with this number, or all of them.
    Leaks(i32, Option<u64>),
}

/// What a [`WalkByProcess`] finds.
pub(crate) enum Found {
    /// All leaks.
    Counts {
        /// How many are suspected.
        suspected: usize,
        /// How many are confirmed.
        confirmed: usize,
    },
    /// A process. Its leaks follow.
    Process {
        /// The process.
        owner: Owner,
        /// The number of its leaks, and their bytes.
        totals: Totals,
    },
    /// A leak.
    Leak(Leak),
}

impl WalkByProcess {
    /// A walk over the leaks of `stats`.
    pub(crate) fn new(stats: &MemoryStats) -> Self {
        Self {
            at: Position::Counts,
            processes: Processes::new(),
            began: stats.clock.coarse(),
        }
    }

    /// What comes next: the number of all leaks, and then each process and its leaks; [`None`] at
    /// the end. `stats` are those that the walk was made for.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINTR` if the process is being killed.
    pub(crate) fn next(&mut self, stats: &MemoryStats) -> Result<Option<Found>> {
        loop {
            task::check_killed()?;
            match self.at {
                Position::Counts => {
                    self.at = Position::FirstProcess;
                    return Ok(Some(Found::Counts {
                        suspected: stats.leaks(LeakState::Suspected),
                        confirmed: stats.leaks(LeakState::Confirmed),
                    }));
                }
                Position::FirstProcess => {
                    self.processes = processes(&stats.tracker)?;
                    self.at = Position::Process;
                }
                Position::Process => {
                    let Some(first) = self.processes.cursor_front_mut() else {
                        return Ok(None);
                    };
                    let ((_, pid), ()) = first.remove_current().1.to_key_value();

                    self.at = Position::Leaks(pid, None);
                    // All leaks of a process may be freed before the walk comes there.
                    if let Some(found) = process(&stats.tracker, pid) {
                        return Ok(Some(found));
                    }
                }
                Position::Leaks(pid, after) => {
                    if let Some(leak) = self.next_leak(stats, pid, after) {
                        self.at = Position::Leaks(pid, Some(leak.id));
                        return Ok(Some(Found::Leak(leak)));
                    }
                    self.at = Position::Process;
                }
            }
        }
    }

    fn next_leak(&self, stats: &MemoryStats, pid: i32, after: Option<u64>) -> Option<Leak> {
        let now = stats.clock.coarse();

        stats
            .tracker
            .next_in_group(pid, after, |tracked, generation| {
                (tracked.created <= self.began)
                    .then(|| Leak::new(tracked, LeakState::from_generation(generation), now))
            })
            .flatten()
    }
}

/// The processes with leaks.
fn processes(tracker: &Tracker) -> Result<Processes> {
    let mut processes = Processes::new();
    let mut last = None;

    while let Some((pid, totals)) = tracker.next_group(last) {
        processes.try_create_and_insert((Reverse(totals.weight), pid), (), GFP_KERNEL)?;
        last = Some(pid);
        task::cond_resched();
        task::check_killed()?;
    }
    Ok(processes)
}

/// A process with leaks, as the one that created the first of them was called.
fn process(tracker: &Tracker, pid: i32) -> Option<Found> {
    Some(Found::Process {
        owner: tracker.next_in_group(pid, None, |tracked, _| tracked.owner)?,
        totals: tracker.totals(pid)?,
    })
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/memory_stats/leak_walk.rs"]
mod kunit;
