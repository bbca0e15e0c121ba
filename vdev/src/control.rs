// SPDX-License-Identifier: GPL-2.0

//! The control socket, through which tests look at the card and break it.

pub mod requests;
pub mod socket;
