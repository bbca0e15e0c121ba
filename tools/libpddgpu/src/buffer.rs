// SPDX-License-Identifier: GPL-2.0

//! Buffers of this process.

use std::{ffi::CStr, num::NonZeroU64, os::fd::AsFd, time::Duration};

use rustix::{
    io::Errno,
    time::{clock_gettime, ClockId},
};
use serde::Serialize;

use crate::{
    card::{retry_interrupted, Card},
    domain::{Domain, Domains},
    error::{Error, Result},
    flags::CreateFlags,
    mapping::Mapping,
    raw,
};

/// What is asked for when a buffer is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Create {
    /// Bytes. The driver rounds up to whole pages of 4096 bytes.
    pub size: u64,
    /// Bytes to a multiple of which the GPU address is aligned: a power of two up to
    /// `Device::max_alignment`. Less than a page, 0 included, means a page.
    pub alignment: u64,
    /// The domains that the buffer may be in.
    pub domains: Domains,
    /// What else is asked of the buffer.
    pub flags: CreateFlags,
}

impl Create {
    /// A buffer of `size` bytes that is aligned to pages and has no flags.
    pub const fn new(size: u64, domains: Domains) -> Self {
        Self {
            size,
            alignment: 0,
            domains,
            flags: CreateFlags::empty(),
        }
    }

    /// The same buffer with these flags.
    pub const fn flags(self, flags: CreateFlags) -> Self {
        Self { flags, ..self }
    }

    /// The same buffer with this alignment in bytes.
    pub const fn alignment(self, alignment: u64) -> Self {
        Self { alignment, ..self }
    }
}

/// What a buffer is and where it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Info {
    /// Bytes, as rounded up at creation.
    pub size: u64,
    /// Alignment of the GPU address in bytes, at least a page.
    pub alignment: u64,
    /// The domains that the buffer was created for.
    pub domains: Domains,
    /// The flags that the buffer was created with.
    pub flags: CreateFlags,
    /// The domain that the buffer is in now. Eviction may have moved it out of `domains`.
    pub placement: Domain,
    /// Address of the first byte as the card sees it. `None` if the card has no address for the
    /// buffer, or the buffer is in several ranges.
    pub gpu_addr: Option<u64>,
    /// Bytes that the CPU can reach where the buffer is now. Outside VRAM these are all bytes.
    pub visible: u64,
    /// The domain that the buffer should be in. `None` if the driver is of version 1.0.
    pub preferred: Option<Domain>,
    /// Whether it is elsewhere.
    pub displaced: bool,
    /// Whether its content was dropped.
    pub purged: bool,
    /// Whether it has the memory of another device.
    pub imported: bool,
    /// Whether the content was lost with the card's memory, at some time since the buffer was created.
    /// The buffer was zeroed then.
    pub content_lost: bool,
}

/// Whether the content of a buffer has to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Advice {
    /// It has to be kept.
    WillNeed = raw::DRM_PDDGPU_ADVICE_WILLNEED,
    /// It may be dropped when memory is short.
    DontNeed = raw::DRM_PDDGPU_ADVICE_DONTNEED,
}

/// How much a buffer is needed in VRAM, among those of its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Priority {
    /// Less than others.
    Low = raw::DRM_PDDGPU_PRIORITY_LOW,
    /// As a new buffer.
    Normal = raw::DRM_PDDGPU_PRIORITY_NORMAL as i32,
    /// More than others.
    High = raw::DRM_PDDGPU_PRIORITY_HIGH as i32,
}

/// The time at which to stop waiting, by `CLOCK_MONOTONIC` and in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(i64);

impl Deadline {
    /// In the past: do not wait at all, only ask.
    pub const PAST: Self = Self(0);
    /// Wait without an end.
    pub const NEVER: Self = Self(i64::MAX);

    /// This long from now.
    pub fn after(time: Duration) -> Self {
        let now = clock_gettime(ClockId::Monotonic);
        let now = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec);
        let then = now.saturating_add_unsigned(time.as_nanos());
        Self(i64::try_from(then).unwrap_or(i64::MAX))
    }

    /// The time in ns.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }
}

/// A buffer of this process. Its handle is closed when the value is dropped.
#[derive(Debug)]
pub struct Buffer {
    card: Card,
    handle: u32,
    size: u64,
}

impl Card {
    /// Creates a buffer.
    pub fn create(&self, create: Create) -> Result<Buffer> {
        Buffer::create(self.clone(), create)
    }
}

impl Buffer {
    fn create(card: Card, create: Create) -> Result<Self> {
        let mut args = raw::drm_pddgpu_gem_create {
            size: create.size,
            alignment: create.alignment,
            domain: create.domains.bits(),
            flags: create.flags.bits(),
            ..Default::default()
        };
        retry_interrupted(|| card.raw().gem_create(&mut args))
            .map_err(Error::from_call("GEM_CREATE"))?;
        Ok(Self {
            card,
            handle: args.handle,
            size: args.size,
        })
    }

    /// A buffer that has this handle, and so many bytes.
    pub(crate) fn from_handle(card: Card, handle: u32, size: u64) -> Self {
        Self { card, handle, size }
    }

    /// The handle. It is valid in the file of [`Buffer::card`] only.
    pub fn handle(&self) -> u32 {
        self.handle
    }

    /// The card that the buffer belongs to.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// Bytes, as rounded up at creation.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Asks the driver what the buffer is and where it is now.
    pub fn info(&self) -> Result<Info> {
        let mut args = raw::drm_pddgpu_gem_info {
            handle: self.handle,
            ..Default::default()
        };
        retry_interrupted(|| self.card.raw().gem_info(&mut args))
            .map_err(Error::from_call("GEM_INFO"))?;
        Ok(Info {
            size: args.size,
            alignment: args.alignment,
            domains: Domains::from_bits_retain(args.domains),
            flags: CreateFlags::from_bits_retain(args.flags),
            placement: Domain::from_bit(args.placement).ok_or_else(|| {
                Error::Unexpected(format!("GEM_INFO: {:#x} is no placement", args.placement))
            })?,
            gpu_addr: (args.gpu_addr != raw::GPU_ADDR_NONE).then_some(args.gpu_addr),
            visible: args.visible,
            preferred: Domain::from_bit(args.preferred),
            displaced: args.state & raw::DRM_PDDGPU_STATE_DISPLACED != 0,
            purged: args.state & raw::DRM_PDDGPU_STATE_PURGED != 0,
            imported: args.state & raw::DRM_PDDGPU_STATE_IMPORTED != 0,
            content_lost: args.state & raw::DRM_PDDGPU_STATE_LOST != 0,
        })
    }

    /// Asks the driver for the offset at which the card's file has the buffer, for `mmap()`.
    pub fn mmap_offset(&self) -> Result<NonZeroU64> {
        let mut args = raw::drm_pddgpu_gem_mmap {
            handle: self.handle,
            ..Default::default()
        };
        retry_interrupted(|| self.card.raw().gem_mmap(&mut args))
            .map_err(Error::from_call("GEM_MMAP"))?;
        NonZeroU64::new(args.offset)
            .ok_or_else(|| Error::Unexpected("GEM_MMAP: 0 is no offset of a buffer".into()))
    }

    /// Maps the whole buffer. The mapping stays when the buffer is moved or its handle is closed.
    pub fn map(&self) -> Result<Mapping> {
        let len = usize::try_from(self.size)
            .map_err(|_| Error::Unexpected("the buffer is larger than memory".into()))?;
        Mapping::new(self.card.as_fd(), self.mmap_offset()?.get(), len)
    }

    /// Waits until nothing works on the buffer any more. False if the deadline came first.
    pub fn wait(&self, deadline: Deadline) -> Result<bool> {
        let args = raw::drm_pddgpu_gem_wait {
            handle: self.handle,
            timeout_ns: deadline.as_nanos(),
            ..Default::default()
        };
        match retry_interrupted(|| self.card.raw().gem_wait(args)) {
            Ok(()) => Ok(true),
            Err(Errno::TIME) => Ok(false),
            Err(errno) => Err(Error::from_call("GEM_WAIT")(errno)),
        }
    }

    /// Moves the buffer with its content to another domain now.
    pub fn move_to(&self, domain: Domain) -> Result<()> {
        let args = raw::drm_pddgpu_gem_move {
            handle: self.handle,
            domain: Domains::from(domain).bits(),
            ..Default::default()
        };
        retry_interrupted(|| self.card.raw().gem_move(args)).map_err(Error::from_call("GEM_MOVE"))
    }

    /// Says whether the content is needed. False if it was dropped since it was last needed.
    pub fn advise(&self, advice: Advice) -> Result<bool> {
        let mut args = raw::drm_pddgpu_gem_advise {
            handle: self.handle,
            advice: advice as u32,
            ..Default::default()
        };
        retry_interrupted(|| self.card.raw().gem_advise(&mut args))
            .map_err(Error::from_call("GEM_ADVISE"))?;
        Ok(args.retained != 0)
    }

    /// Says how much the buffer is needed in VRAM.
    pub fn set_priority(&self, priority: Priority) -> Result<()> {
        let args = raw::drm_pddgpu_gem_set_priority {
            handle: self.handle,
            priority: priority as i32,
        };
        retry_interrupted(|| self.card.raw().gem_set_priority(args))
            .map_err(Error::from_call("GEM_SET_PRIORITY"))
    }

    /// Gives the buffer a name, or takes it away with an empty one. Reports and trace events show it.
    pub fn set_label(&self, label: &CStr) -> Result<()> {
        let args = raw::drm_pddgpu_gem_set_label {
            handle: self.handle,
            label: label.as_ptr() as usize as u64,
            ..Default::default()
        };
        retry_interrupted(|| self.card.raw().gem_set_label(args))
            .map_err(Error::from_call("GEM_SET_LABEL"))
    }

    /// Closes the handle now. Dropping the buffer does so too, but gives no error.
    pub fn close(mut self) -> Result<()> {
        self.close_handle().map_err(Error::from_call("GEM_CLOSE"))
    }

    fn close_handle(&mut self) -> rustix::io::Result<()> {
        // Once it is closed, the number may become another buffer's. No handle is ever 0.
        match std::mem::take(&mut self.handle) {
            0 => Ok(()),
            handle => self.card.raw().gem_close(handle),
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // Closing only fails when the card is gone. Then the handle goes with the file.
        let _ = self.close_handle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_in_the_future_and_do_not_overflow() {
        let soon = Deadline::after(Duration::from_secs(1));
        assert!(Deadline::after(Duration::ZERO) < soon);
        assert!(soon > Deadline::PAST);
        assert_eq!(Deadline::after(Duration::MAX), Deadline::NEVER);
    }
}
