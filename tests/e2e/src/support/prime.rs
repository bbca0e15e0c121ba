// SPDX-License-Identifier: GPL-2.0

//! Buffers shared between clients as dma-bufs.

use std::{
    ffi::c_void,
    fs::File,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    ptr,
};

use anyhow::{Context, Result};
use pddgpu::{Buffer, Card};
use rustix::{
    fs::{fcntl_add_seals, ftruncate, memfd_create, MemfdFlags, OFlags, SealFlags},
    io,
    ioctl::{ioctl, opcode, Ioctl, IoctlOutput, Opcode},
    mm::{mmap, munmap, MapFlags, ProtFlags},
};

/// Makes a dma-buf of a buffer (`DRM_IOCTL_PRIME_HANDLE_TO_FD`).
pub fn export(buffer: &Buffer) -> Result<OwnedFd> {
    export_with(buffer, OFlags::CLOEXEC | OFlags::RDWR)
}

/// Makes a dma-buf that can be mapped to be read only.
pub fn export_read_only(buffer: &Buffer) -> Result<OwnedFd> {
    export_with(buffer, OFlags::CLOEXEC)
}

fn export_with(buffer: &Buffer, flags: OFlags) -> Result<OwnedFd> {
    let made = drm_ffi::gem::handle_to_fd(buffer.card().as_fd(), buffer.handle(), flags.bits())
        .context("PRIME_HANDLE_TO_FD")?;
    // SAFETY: The kernel has just opened it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(made.fd) })
}

const PAGE: usize = 4096;

/// The argument of `UDMABUF_CREATE`.
#[repr(C)]
struct CreateUdmabuf {
    memfd: u32,
    flags: u32,
    offset: u64,
    size: u64,
}

// SAFETY: `UDMABUF_CREATE` reads the structure and returns a file.
unsafe impl Ioctl for CreateUdmabuf {
    type Output = OwnedFd;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        opcode::write::<Self>(b'u', 0x42)
    }

    fn as_ptr(&mut self) -> *mut c_void {
        ptr::from_mut(self).cast()
    }

    unsafe fn output_from_ptr(output: IoctlOutput, _argument: *mut c_void) -> io::Result<OwnedFd> {
        // SAFETY: The kernel has just opened it for us.
        Ok(unsafe { OwnedFd::from_raw_fd(output) })
    }
}

/// A dma-buf of one page of a memfd: no graphics driver's.
pub fn udmabuf() -> Result<OwnedFd> {
    Ok(udmabuf_of(PAGE as u64)?.0)
}

/// A dma-buf of a memfd of `size` bytes, and the memfd.
pub fn udmabuf_of(size: u64) -> Result<(OwnedFd, File)> {
    let memory = memfd_create("pddgpu-e2e", MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&memory, size)?;
    fcntl_add_seals(&memory, SealFlags::SHRINK)?;
    let create = CreateUdmabuf {
        memfd: memory.as_raw_fd() as u32,
        flags: 0,
        offset: 0,
        size,
    };
    let device = File::open("/dev/udmabuf").context("/dev/udmabuf")?;
    // SAFETY: The number and the structure are a pair.
    let buffer = unsafe { ioctl(device, create) }.context("UDMABUF_CREATE")?;
    Ok((buffer, memory.into()))
}

/// A dma-buf in this process's address space.
pub struct Mapped {
    start: *mut c_void,
    len: usize,
}

/// Maps a dma-buf; whether its bytes are right is for others to test.
pub fn map(buffer: impl AsFd, len: usize) -> Result<Mapped> {
    map_with(buffer, len, ProtFlags::READ | ProtFlags::WRITE)
}

/// Maps a dma-buf to be read only.
pub fn map_read_only(buffer: impl AsFd, len: usize) -> Result<Mapped> {
    map_with(buffer, len, ProtFlags::READ)
}

fn map_with(buffer: impl AsFd, len: usize, prot: ProtFlags) -> Result<Mapped> {
    // SAFETY: The kernel chooses a free address, and nothing ever refers to what is there.
    let start = unsafe { mmap(ptr::null_mut(), len, prot, MapFlags::SHARED, buffer, 0) }
        .context("mmap of a dma-buf")?;
    Ok(Mapped { start, len })
}

impl Mapped {
    /// Where it begins.
    pub fn start(&self) -> usize {
        self.start as usize
    }

    /// Whether the last bytes are as expected.
    pub fn ends_with(&self, expected: &[u8]) -> bool {
        let start = self.len - expected.len();
        expected.iter().enumerate().all(|(index, byte)| {
            // SAFETY: The byte is in this mapping's range.
            unsafe { self.start.cast::<u8>().add(start + index).read_volatile() == *byte }
        })
    }

    /// Unmaps a page in the middle, which leaves two mappings.
    pub fn cut_in_two(&mut self) -> Result<()> {
        let middle = self.len / 2 / PAGE * PAGE;
        // SAFETY: The page is in this mapping's range, and nothing refers to it.
        unsafe { munmap(self.start.byte_add(middle), PAGE) }.context("munmap of a page")
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: The range is this mapping's, and nothing refers to it.
        let unmapped = unsafe { munmap(self.start, self.len) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}

/// A handle to another client's buffer; closed when dropped.
pub struct Imported {
    card: Card,
    pub handle: u32,
}

impl Imported {
    /// Makes a handle of a dma-buf (`DRM_IOCTL_PRIME_FD_TO_HANDLE`).
    pub fn new(card: &Card, buffer: impl AsFd) -> Result<Self> {
        let made = drm_ffi::gem::fd_to_handle(card.as_fd(), buffer.as_fd())
            .context("PRIME_FD_TO_HANDLE")?;
        Ok(Self {
            card: card.clone(),
            handle: made.handle,
        })
    }
}

impl Drop for Imported {
    fn drop(&mut self) {
        // The one error there can be is a card that is gone, and the handle goes with its file.
        let _ = self.card.raw().gem_close(self.handle);
    }
}
