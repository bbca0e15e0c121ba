// SPDX-License-Identifier: GPL-2.0

//! dma-bufs of `/dev/dma_heap/system`, which belong to no device.

use std::{
    fs::File,
    os::fd::{FromRawFd, OwnedFd},
};

use anyhow::{Context, Result};
use rustix::{fs::OFlags, ioctl::opcode};

use crate::support::{fixture::skip, plain_ioctl::call};

/// The argument of `DMA_HEAP_IOCTL_ALLOC`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Allocation {
    len: u64,
    fd: u32,
    fd_flags: u32,
    heap_flags: u64,
}

/// Allocates a dma-buf. Ends a test on a kernel without the heap.
pub fn buffer(len: u64) -> Result<OwnedFd> {
    let Ok(heap) = File::open("/dev/dma_heap/system") else {
        return skip("this kernel has no system heap");
    };
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let allocation = Allocation {
        len,
        fd: 0,
        fd_flags: flags.bits(),
        heap_flags: 0,
    };
    let made = call(heap, opcode::read_write::<Allocation>(b'H', 0), allocation)
        .context("DMA_HEAP_IOCTL_ALLOC")?;
    // SAFETY: The kernel has just opened it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(made.fd as i32) })
}
