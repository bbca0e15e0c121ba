// SPDX-License-Identifier: GPL-2.0

//! Mappings that fail.

use std::ptr;

use pddgpu::Card;
use rustix::{
    io::Errno,
    mm::{mmap, munmap, MapFlags, ProtFlags},
};

/// Maps and unmaps; what matters is whether it works.
pub fn try_mmap(card: &Card, offset: u64, len: usize, flags: MapFlags) -> Result<(), Errno> {
    let prot = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: The kernel chooses a free address, and nothing ever refers to what is there.
    unsafe {
        let start = mmap(ptr::null_mut(), len, prot, flags, card, offset)?;
        munmap(start, len)
    }
}
