// SPDX-License-Identifier: GPL-2.0

//! The fences of a dma-buf as files.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result};
use rustix::ioctl::opcode;

use crate::support::plain_ioctl::call;

/// `DMA_BUF_SYNC_READ | DMA_BUF_SYNC_WRITE`.
const SYNC_RW: u32 = 3;

/// The argument of `DMA_BUF_IOCTL_EXPORT_SYNC_FILE` and `DMA_BUF_IOCTL_IMPORT_SYNC_FILE`.
#[derive(Clone, Copy)]
#[repr(C)]
struct SyncFile {
    flags: u32,
    fd: i32,
}

/// A file that is readable when all is done that was begun with a dma-buf.
pub fn of(buffer: impl AsFd) -> Result<OwnedFd> {
    let opcode = opcode::read_write::<SyncFile>(b'b', 2);
    let export = SyncFile {
        flags: SYNC_RW,
        fd: -1,
    };
    let fd = call(buffer, opcode, export).context("EXPORT_SYNC_FILE")?.fd;
    // SAFETY: The kernel has just opened it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Has all that is done to a dma-buf from now on wait for a file's fence, as any user may.
pub fn put(buffer: impl AsFd, fence: impl AsFd) -> Result<()> {
    let opcode = opcode::write::<SyncFile>(b'b', 3);
    let import = SyncFile {
        flags: SYNC_RW,
        fd: fence.as_fd().as_raw_fd(),
    };
    call(buffer, opcode, import).context("IMPORT_SYNC_FILE")?;
    Ok(())
}
