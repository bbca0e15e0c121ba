// SPDX-License-Identifier: GPL-2.0

//! What the driver counts, and which buffers it suspects of being leaked.
//!
//! Each counter is declared once, in the [`counters!`](counter::counters) of the structure that it
//! is in. To add one that the driver's header has, add its line there and its row to
//! `docs/statistics.md`. A test fails until both are done, and says what is missing.

pub mod counter;
pub mod failures;
pub mod histogram;
pub mod leaks;
pub mod memory_stats;
pub mod times;
