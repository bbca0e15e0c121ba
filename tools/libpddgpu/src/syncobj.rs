// SPDX-License-Identifier: GPL-2.0

//! Syncobjs: what work waits for, and what tells that it has ended.

use std::os::fd::AsFd;

use drm_ffi::syncobj;
use rustix::io::Errno;

use crate::{
    buffer::Deadline,
    card::{retry_interrupted, Card},
    error::{Error, Result},
    raw,
};

/// A syncobj, binary or a timeline. It is destroyed when dropped.
#[derive(Debug)]
pub struct Syncobj {
    card: Card,
    handle: u32,
}

impl Syncobj {
    /// A syncobj without a fence.
    pub fn new(card: &Card) -> Result<Self> {
        let made = call("SYNCOBJ_CREATE", || syncobj::create(card.as_fd(), false))?;
        Ok(Self {
            card: card.clone(),
            handle: made.handle,
        })
    }

    /// The handle. It is valid in the file of the card only.
    pub fn handle(&self) -> u32 {
        self.handle
    }

    /// Waits for the fence of a point, or for a binary syncobj at point 0. False if the deadline came
    /// first.
    ///
    /// A point that no work was submitted for gives `EINVAL`.
    pub fn wait(&self, point: u64, deadline: Deadline) -> Result<bool> {
        let waited = call("SYNCOBJ_TIMELINE_WAIT", || {
            syncobj::timeline_wait(
                self.card.as_fd(),
                &[self.handle],
                &[point],
                deadline.as_nanos(),
                true,
                false,
                false,
            )
        });
        match waited {
            Ok(_) => Ok(true),
            Err(error) if error.errno() == Some(Errno::TIME) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Work begins after the point is signalled.
    pub fn wait_before(&self, point: u64) -> raw::drm_pddgpu_sync {
        self.sync(raw::DRM_PDDGPU_SYNC_WAIT, point)
    }

    /// The point is signalled at the end of the work.
    pub fn signal_after(&self, point: u64) -> raw::drm_pddgpu_sync {
        self.sync(raw::DRM_PDDGPU_SYNC_SIGNAL, point)
    }

    fn sync(&self, flags: u32, point: u64) -> raw::drm_pddgpu_sync {
        raw::drm_pddgpu_sync {
            handle: self.handle,
            flags,
            point,
        }
    }
}

impl Drop for Syncobj {
    fn drop(&mut self) {
        // Destroying only fails when the card is gone. Then the handle goes with the file.
        let _ = syncobj::destroy(self.card.as_fd(), self.handle);
    }
}

fn call<T>(name: &'static str, mut call: impl FnMut() -> std::io::Result<T>) -> Result<T> {
    retry_interrupted(|| call().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO)))
        .map_err(Error::from_call(name))
}
