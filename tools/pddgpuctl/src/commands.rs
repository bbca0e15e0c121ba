// SPDX-License-Identifier: GPL-2.0

//! One module for each command.

pub mod create;
pub mod demo;
pub mod heaps;
pub mod info;
pub mod leaks;
pub mod list;
pub mod stats;
pub mod top;
