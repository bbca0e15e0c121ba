// SPDX-License-Identifier: GPL-2.0

//! The card, as `docs/hardware.md` describes it: its registers, its address space, and the tables
//! and rings that it shares with the driver.

pub(crate) mod gart;
pub(crate) mod gmc;
pub(crate) mod regs;
pub(crate) mod ring;
