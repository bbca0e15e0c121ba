// SPDX-License-Identifier: GPL-2.0

//! The commands, one module each.

pub mod budget;
pub mod clients;
pub mod create;
pub mod demo;
pub mod export;
pub mod heaps;
pub mod info;
pub mod leaks;
pub mod list;
pub mod metrics;
pub mod owners;
pub mod stats;
pub mod top;
pub mod transfer;
pub mod watch;
