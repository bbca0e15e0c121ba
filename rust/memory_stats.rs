// SPDX-License-Identifier: GPL-2.0

//! Memory statistics and leak detection: always on, and right after any sequence of create, move, evict,
//! fail, free, unplug and reset.
//!
//! They hook in at three places only: where a manager takes and gives back memory (bytes by heap, so that
//! moves and evictions are always accounted for), where a buffer is created and freed, and where it is moved.
//! None of them allocates for bookkeeping or takes a lock other than the tracker's, which is innermost and
//! never held for long.

mod check_work;
mod clock;
pub(crate) mod counters;
mod guard;
pub(crate) mod info;
pub(crate) mod leak;
mod leak_check;
mod limit;
mod report;
mod settings;
mod stats;
mod threshold;
pub(crate) mod timing;

pub(crate) use self::{
    check_work::Fini,
    guard::{
        FreeStart,
        MoveGuard, //
    },
    stats::{
        Heap,
        MemoryStats,
        Stats, //
    }, //
};
