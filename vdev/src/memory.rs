// SPDX-License-Identifier: GPL-2.0

//! The memory that the card works on: its own, the guest's, and the tables that lead there.

pub mod dma;
pub mod gart;
pub mod scan;
pub mod transfer;
pub mod vram;
