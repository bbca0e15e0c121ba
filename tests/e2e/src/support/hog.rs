// SPDX-License-Identifier: GPL-2.0

//! Memory that is taken from everybody else.

use std::ptr;

use anyhow::{ensure, Context, Result};
use rustix::mm::{mlock, mmap_anonymous, munmap, MapFlags, ProtFlags};

use crate::support::meminfo::{drop_caches, meminfo};

/// Memory of our own that cannot be swapped out.
pub struct Hog {
    at: *mut std::ffi::c_void,
    len: usize,
}

impl Hog {
    pub fn of(bytes: u64) -> Result<Self> {
        let len = usize::try_from(bytes)?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: A new mapping that nothing else uses.
        unsafe {
            let at = mmap_anonymous(ptr::null_mut(), len, access, MapFlags::PRIVATE)?;
            let hog = Self { at, len };
            mlock(at, len).context("mlock")?;
            Ok(hog)
        }
    }

    /// Takes memory until this much is left for others.
    pub fn leave(bytes: u64) -> Result<Self> {
        drop_caches()?;
        let free = meminfo("MemAvailable")?;
        ensure!(free >= bytes, "only {free} bytes are free");
        Self::of(free - bytes)
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        // SAFETY: Our own mapping, which nothing refers to.
        unsafe { munmap(self.at, self.len) }.expect("it is mapped");
    }
}
