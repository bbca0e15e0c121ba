// SPDX-License-Identifier: GPL-2.0

//! Safe abstractions over kernel interfaces that the `kernel` crate does not wrap, or not in a form
//! that a driver with memory of its own can use. They know nothing of any particular driver, hold
//! all of the module's `unsafe` code, and could be sent upstream one by one.

pub(crate) mod aging_list;
pub(crate) mod capability;
pub(crate) mod dma;
pub(crate) mod drm;
pub(crate) mod gpu_buddy;
pub(crate) mod lglock;
pub(crate) mod memcg;
pub(crate) mod memory;
pub(crate) mod msi;
pub(crate) mod pci;
pub(crate) mod pm;
pub(crate) mod psi;
pub(crate) mod ratelimit;
pub(crate) mod rwsem;
pub(crate) mod slab;
pub(crate) mod stackdepot;
pub(crate) mod sysfs;
pub(crate) mod task;
pub(crate) mod time;
pub(crate) mod tracepoint;
pub(crate) mod ttm;
pub(crate) mod turnstile;
pub(crate) mod workqueue;
