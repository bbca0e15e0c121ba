// SPDX-License-Identifier: GPL-2.0

//! Memory statistics and leak detection.
//!
//! Both are always on. They are updated at three places:
//!
//! - When a resource manager allocates or frees memory, the bytes are added to or subtracted from
//!   its heap. Moves and evictions allocate and free like everything else, so they need no extra
//!   code.
//! - When a buffer is created or freed, the operation and its duration are counted, and the buffer
//!   is added to or removed from the list of tracked buffers.
//! - When a buffer is moved, the direction, the bytes and the duration are counted.
//!
//! The counters are atomic. The list of tracked buffers has a spinlock, inside of which no other
//! lock is taken, and which is held for a few buffers at a time. Nothing is allocated on these
//! paths.

#[cfg(CONFIG_KUNIT)]
#[path = "../tests/kunit/memory_stats/bench.rs"]
mod bench;
mod check_work;
mod clock;
pub(crate) mod counters;
mod guard;
pub(crate) mod info;
pub(crate) mod label;
pub(crate) mod leak;
mod leak_check;
pub(crate) mod leak_walk;
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
