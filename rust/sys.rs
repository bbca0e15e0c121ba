// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers over kernel services that the `kernel` crate has no wrapper for.

pub(crate) mod barrier;
pub(crate) mod capability;
pub(crate) mod generations;
pub(crate) mod irq;
pub(crate) mod memory;
pub(crate) mod periodic;
pub(crate) mod process;
pub(crate) mod rwsem;
pub(crate) mod stack;
pub(crate) mod time;
pub(crate) mod tracepoint;
