// SPDX-License-Identifier: GPL-2.0

//! What the driver counts, and the leaks it sees.

pub mod histogram;
pub mod leaks;
pub mod memory_stats;
