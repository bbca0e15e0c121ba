// SPDX-License-Identifier: GPL-2.0

//! What the tests share. It knows no test.

pub mod cgroup;
pub mod child;
pub mod compare;
pub mod config_space;
pub mod controller;
pub mod dma_heap;
pub mod driver;
pub mod engine;
pub mod examples;
pub mod fault_injection;
pub mod fdinfo;
pub mod fixture;
pub mod hog;
pub mod holdings;
pub mod ioctl_32;
pub mod kmsg;
pub mod leaker;
pub mod marked;
pub mod meminfo;
pub mod mmap;
pub mod nodes;
pub mod patience;
pub mod placement;
pub mod plain_ioctl;
pub mod prime;
pub mod query;
pub mod random;
pub mod second;
pub mod sleep;
pub mod stats;
pub mod sync_file;
pub mod uevent;
pub mod user;
pub mod vgem;
