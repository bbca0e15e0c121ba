// SPDX-License-Identifier: GPL-2.0

//! Memory that is taken from everybody else.

use std::ptr;

use anyhow::{ensure, Context, Result};
use rustix::mm::{mlock, mmap_anonymous, munmap, MapFlags, ProtFlags};

use crate::support::meminfo::{drop_caches, meminfo};

/// Memory of our own that cannot be swapped out.
pub struct Hog(Vec<Locked>);

/// A mapping, and its size.
struct Locked(*mut std::ffi::c_void, usize);

impl Locked {
    fn new(bytes: u64) -> Result<Self> {
        let len = usize::try_from(bytes)?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: A new mapping that nothing else uses.
        unsafe {
            let at = mmap_anonymous(ptr::null_mut(), len, access, MapFlags::PRIVATE)?;
            let locked = Self(at, len);
            mlock(at, len).context("mlock")?;
            Ok(locked)
        }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // SAFETY: Our own mapping, which nothing refers to.
        unsafe { munmap(self.0, self.1) }.expect("it is mapped");
    }
}

impl Hog {
    pub fn of(bytes: u64) -> Result<Self> {
        Ok(Self(vec![Locked::new(bytes)?]))
    }

    /// Takes memory until no more than this is left for others. What others free meanwhile it takes,
    /// too.
    pub fn leave(bytes: u64) -> Result<Self> {
        let mut hog = Self(Vec::new());
        loop {
            drop_caches()?;
            let free = meminfo("MemAvailable")?;
            if free <= bytes {
                ensure!(!hog.0.is_empty(), "only {free} bytes are free");
                return Ok(hog);
            }
            hog.0.push(Locked::new(free - bytes)?);
        }
    }
}
