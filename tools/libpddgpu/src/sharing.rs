// SPDX-License-Identifier: GPL-2.0

//! Buffers as dma-bufs, for other clients, drivers and processes.

use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use rustix::{fs::OFlags, io::Errno};

use crate::{
    buffer::Buffer,
    card::{retry_interrupted, Card},
    error::{Error, Result},
    raw,
};

impl Buffer {
    /// Makes a dma-buf of the buffer, or finds the one there is. Who gets it can write to the buffer
    /// only if it is `writable`.
    pub fn export(&self, writable: bool) -> Result<OwnedFd> {
        let mut flags = OFlags::CLOEXEC;
        flags.set(OFlags::RDWR, writable);
        let made = call("PRIME_HANDLE_TO_FD", || {
            drm_ffi::gem::handle_to_fd(self.card().as_fd(), self.handle(), flags.bits())
        })?;
        // SAFETY: The kernel has just opened it for us.
        Ok(unsafe { OwnedFd::from_raw_fd(made.fd) })
    }
}

impl Card {
    /// Makes a buffer of a dma-buf: that of this card which it was made of, or one in the CPU domain
    /// that has the memory of another device.
    ///
    /// Do not import one that this file of the card has already: both would be the same handle.
    pub fn import(&self, shared: impl AsFd) -> Result<Buffer> {
        let made = call("PRIME_FD_TO_HANDLE", || {
            drm_ffi::gem::fd_to_handle(self.as_fd(), shared.as_fd())
        })?;
        let mut info = raw::drm_pddgpu_gem_info {
            handle: made.handle,
            ..Default::default()
        };
        retry_interrupted(|| self.raw().gem_info(&mut info))
            .map_err(Error::from_call("GEM_INFO"))?;
        Ok(Buffer::from_handle(self.clone(), made.handle, info.size))
    }
}

fn call<T>(name: &'static str, mut call: impl FnMut() -> std::io::Result<T>) -> Result<T> {
    retry_interrupted(|| call().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO)))
        .map_err(Error::from_call(name))
}
