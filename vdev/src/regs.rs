// SPDX-License-Identifier: GPL-2.0

//! The registers behind BAR0.

pub mod identity;
pub mod register_file;
pub mod table;
