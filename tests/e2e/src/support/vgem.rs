// SPDX-License-Identifier: GPL-2.0

//! Fences of another driver's: of vgem, which signals them when it is told to, or after ten seconds.

use std::{
    fs::{self, File},
    os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd},
    path::Path,
    process::Command,
};

use anyhow::{bail, ensure, Context, Result};
use rustix::{fs::OFlags, ioctl::opcode};

use crate::support::{plain_ioctl::call, sync_file};

/// The letter and the first number of a driver's ioctls.
const DRM: (u8, u8) = (b'd', 0x40);

#[derive(Clone, Copy)]
#[repr(C)]
struct FenceAttach {
    handle: u32,
    flags: u32,
    out_fence: u32,
    pad: u32,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct FenceSignal {
    fence: u32,
    flags: u32,
}

/// A fence that is not signalled. Dropping it signals it.
pub struct Fence {
    vgem: File,
    number: u32,
    sync_file: OwnedFd,
}

impl Fence {
    /// Makes one with vgem, which is loaded if need be.
    pub fn new() -> Result<Self> {
        let vgem = open()?;
        let dumb = drm_ffi::mode::dumbbuffer::create(vgem.as_fd(), 32, 32, 32, 0)?;
        let attach = FenceAttach {
            handle: dumb.handle,
            flags: 1,
            out_fence: 0,
            pad: 0,
        };
        let opcode = opcode::read_write::<FenceAttach>(DRM.0, DRM.1 + 1);
        let number = call(&vgem, opcode, attach)
            .context("VGEM_FENCE_ATTACH")?
            .out_fence;
        let flags = OFlags::CLOEXEC | OFlags::RDWR;
        let made = drm_ffi::gem::handle_to_fd(vgem.as_fd(), dumb.handle, flags.bits())?;
        // SAFETY: The kernel has just opened it for us.
        let buffer = unsafe { OwnedFd::from_raw_fd(made.fd) };
        Ok(Self {
            vgem,
            number,
            sync_file: sync_file::of(buffer)?,
        })
    }

    /// The file of its own, as which it can be made a syncobj's.
    pub fn sync_file(&self) -> BorrowedFd<'_> {
        self.sync_file.as_fd()
    }

    /// Puts it on a dma-buf, as any user may.
    pub fn put_on(&self, buffer: impl AsFd) -> Result<()> {
        sync_file::put(buffer, self.sync_file())
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        let signal = FenceSignal {
            fence: self.number,
            flags: 0,
        };
        // A fence that has timed out is signalled already.
        let _ = call(
            &self.vgem,
            opcode::write::<FenceSignal>(DRM.0, DRM.1 + 2),
            signal,
        );
    }
}

/// A buffer of vgem's, as a dma-buf.
pub fn buffer(flags: OFlags) -> Result<OwnedFd> {
    let vgem = open()?;
    let dumb = drm_ffi::mode::dumbbuffer::create(vgem.as_fd(), 1024, 256, 32, 0)?;
    let made =
        drm_ffi::gem::handle_to_fd(vgem.as_fd(), dumb.handle, (flags | OFlags::CLOEXEC).bits())?;
    // SAFETY: The kernel has just opened it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(made.fd) })
}

/// vgem with a dma-buf of another driver's, to which it is attached until this is dropped.
pub struct Attached {
    _vgem: File,
}

impl Attached {
    pub fn new(buffer: impl AsFd) -> Result<Self> {
        let vgem = open()?;
        drm_ffi::gem::fd_to_handle(vgem.as_fd(), buffer.as_fd()).context("vgem's import")?;
        Ok(Self { _vgem: vgem })
    }
}

/// The primary node of vgem's device.
fn open() -> Result<File> {
    let loaded = Command::new("modprobe").arg("vgem").status()?;
    ensure!(loaded.success(), "modprobe vgem: {loaded}");
    for entry in fs::read_dir("/sys/class/drm")? {
        let entry = entry?;
        let is_vgem = fs::canonicalize(entry.path())?
            .to_string_lossy()
            .contains("/vgem/");
        let name = entry.file_name();
        if is_vgem && name.to_string_lossy().starts_with("card") {
            let path = Path::new("/dev/dri").join(name);
            return File::options()
                .read(true)
                .write(true)
                .open(&path)
                .with_context(|| path.display().to_string());
        }
    }
    bail!("vgem has no card")
}
