// SPDX-License-Identifier: GPL-2.0

//! The ABI itself: its structures, its constants and one function for each ioctl.
//!
//! Nothing here checks an argument or calls an ioctl again that a signal interrupted. This is for
//! tests that pass what no sane program would. All other programs want `Card` and `Buffer`.

use std::os::fd::BorrowedFd;

use rustix::{
    io::{Errno, Result},
    ioctl::{ioctl, Setter, Updater},
};

/// Made by bindgen from `include/uapi/drm/pddgpu_drm.h`.
#[allow(missing_docs, non_camel_case_types, clippy::all, rustdoc::all)]
mod uapi {
    include!(concat!(env!("OUT_DIR"), "/uapi.rs"));
}

pub use uapi::*;

/// What [`drm_pddgpu_gem_info::gpu_addr`] holds for a buffer that the card cannot address as one
/// range.
///
/// bindgen takes `~0ULL` for a signed -1. Extending its sign gives the 64-bit value back.
pub const GPU_ADDR_NONE: u64 = PDDGPU_GPU_ADDR_NONE as i64 as u64;

/// The driver's ioctls on one open file.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a> {
    pub(crate) fd: BorrowedFd<'a>,
}

impl Raw<'_> {
    /// `DRM_IOCTL_PDDGPU_GEM_CREATE`.
    pub fn gem_create(&self, args: &mut drm_pddgpu_gem_create) -> Result<()> {
        // SAFETY: The header has this number for this structure, so the kernel accesses no more.
        unsafe { ioctl(self.fd, Updater::<PDDGPU_IOCTL_GEM_CREATE, _>::new(args)) }
    }

    /// `DRM_IOCTL_PDDGPU_GEM_MMAP`.
    pub fn gem_mmap(&self, args: &mut drm_pddgpu_gem_mmap) -> Result<()> {
        // SAFETY: The header has this number for this structure, so the kernel accesses no more.
        unsafe { ioctl(self.fd, Updater::<PDDGPU_IOCTL_GEM_MMAP, _>::new(args)) }
    }

    /// `DRM_IOCTL_PDDGPU_GEM_INFO`.
    pub fn gem_info(&self, args: &mut drm_pddgpu_gem_info) -> Result<()> {
        // SAFETY: The header has this number for this structure, so the kernel accesses no more.
        unsafe { ioctl(self.fd, Updater::<PDDGPU_IOCTL_GEM_INFO, _>::new(args)) }
    }

    /// `DRM_IOCTL_PDDGPU_GEM_WAIT`.
    pub fn gem_wait(&self, args: drm_pddgpu_gem_wait) -> Result<()> {
        // SAFETY: The header has this number for this structure, so the kernel accesses no more.
        unsafe { ioctl(self.fd, Setter::<PDDGPU_IOCTL_GEM_WAIT, _>::new(args)) }
    }

    /// `DRM_IOCTL_PDDGPU_GEM_MOVE`.
    pub fn gem_move(&self, args: drm_pddgpu_gem_move) -> Result<()> {
        // SAFETY: The header has this number for this structure, so the kernel accesses no more.
        unsafe { ioctl(self.fd, Setter::<PDDGPU_IOCTL_GEM_MOVE, _>::new(args)) }
    }

    /// `DRM_IOCTL_PDDGPU_GEM_COPY`.
    pub fn gem_copy(&self, args: drm_pddgpu_gem_copy) -> Result<()> {
        // SAFETY: The header has this number for this structure, so the kernel accesses no more.
        unsafe { ioctl(self.fd, Setter::<PDDGPU_IOCTL_GEM_COPY, _>::new(args)) }
    }

    /// `DRM_IOCTL_PDDGPU_GEM_FILL`.
    pub fn gem_fill(&self, args: drm_pddgpu_gem_fill) -> Result<()> {
        // SAFETY: The header has this number for this structure, so the kernel accesses no more.
        unsafe { ioctl(self.fd, Setter::<PDDGPU_IOCTL_GEM_FILL, _>::new(args)) }
    }

    /// `DRM_IOCTL_PDDGPU_GEM_ADVISE`.
    pub fn gem_advise(&self, args: &mut drm_pddgpu_gem_advise) -> Result<()> {
        // SAFETY: The header has this number for this structure, so the kernel accesses no more.
        unsafe { ioctl(self.fd, Updater::<PDDGPU_IOCTL_GEM_ADVISE, _>::new(args)) }
    }

    /// `DRM_IOCTL_PDDGPU_GEM_SET_PRIORITY`.
    pub fn gem_set_priority(&self, args: drm_pddgpu_gem_set_priority) -> Result<()> {
        // SAFETY: The header has this number for this structure, so the kernel accesses no more.
        unsafe {
            ioctl(
                self.fd,
                Setter::<PDDGPU_IOCTL_GEM_SET_PRIORITY, _>::new(args),
            )
        }
    }

    /// `DRM_IOCTL_PDDGPU_RESERVE`.
    pub fn reserve(&self, args: drm_pddgpu_reserve) -> Result<()> {
        // SAFETY: The header has this number for this structure, so the kernel accesses no more.
        unsafe { ioctl(self.fd, Setter::<PDDGPU_IOCTL_RESERVE, _>::new(args)) }
    }

    /// `DRM_IOCTL_PDDGPU_SUBSCRIBE`.
    pub fn subscribe(&self, args: drm_pddgpu_subscribe) -> Result<()> {
        // SAFETY: The header has this number for this structure, so the kernel accesses no more.
        unsafe { ioctl(self.fd, Setter::<PDDGPU_IOCTL_SUBSCRIBE, _>::new(args)) }
    }

    /// `DRM_IOCTL_PDDGPU_GEM_SET_LABEL`. The kernel only reads at the address in it.
    pub fn gem_set_label(&self, args: drm_pddgpu_gem_set_label) -> Result<()> {
        // SAFETY: The header has this number for this structure, so the kernel accesses no more.
        unsafe { ioctl(self.fd, Setter::<PDDGPU_IOCTL_GEM_SET_LABEL, _>::new(args)) }
    }

    /// `DRM_IOCTL_PDDGPU_QUERY`.
    ///
    /// # Safety
    ///
    /// The kernel writes up to `args.size` bytes at `args.data`. Either nobody else may use these
    /// bytes meanwhile and they must be writable, or they must not be this process's memory at all.
    pub unsafe fn query(&self, args: &mut drm_pddgpu_query) -> Result<()> {
        // SAFETY: The header has this number for this structure, and by the requirements of this
        // function the kernel may write to the address in it.
        unsafe { ioctl(self.fd, Updater::<PDDGPU_IOCTL_QUERY, _>::new(args)) }
    }

    /// `DRM_IOCTL_GEM_CLOSE`.
    pub fn gem_close(&self, handle: u32) -> Result<()> {
        drm_ffi::gem::close(self.fd, handle)
            .map(drop)
            .map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
    }
}
