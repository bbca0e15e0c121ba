// SPDX-License-Identifier: GPL-2.0

//! How everything is written that people or programs read.

pub mod json;
pub mod stdout;
pub mod table;
pub mod text;
pub mod units;
