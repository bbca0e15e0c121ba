// SPDX-License-Identifier: GPL-2.0

//! The managers of the three kinds of memory: each decides who has which part of it.

pub(crate) mod gtt_mgr;
pub(crate) mod sys_mgr;
pub(crate) mod vram_mgr;
