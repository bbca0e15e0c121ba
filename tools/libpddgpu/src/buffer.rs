// SPDX-License-Identifier: GPL-2.0

use std::{num::NonZeroU64, os::fd::AsFd, time::Duration};

use rustix::{
    io::Errno,
    time::{clock_gettime, ClockId},
};
use serde::Serialize;

use crate::{card::restart, raw, Card, CreateFlags, Domain, Domains, Error, Mapping, Result};

/// What buffer to create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Create {
    /// Bytes; the driver rounds up to whole pages of 4096.
    pub size: u64,
    /// Bytes: a power of two up to [`Device::max_alignment`](crate::Device::max_alignment); less
    /// than a page, 0 included, means a page.
    pub alignment: u64,
    /// Where it may live.
    pub domains: Domains,
    /// What else is asked of it.
    pub flags: CreateFlags,
}

impl Create {
    /// A buffer aligned to pages and without flags.
    pub const fn new(size: u64, domains: Domains) -> Self {
        Self {
            size,
            alignment: 0,
            domains,
            flags: CreateFlags::empty(),
        }
    }

    /// The same with these flags.
    pub const fn flags(self, flags: CreateFlags) -> Self {
        Self { flags, ..self }
    }

    /// The same with this alignment in bytes.
    pub const fn alignment(self, alignment: u64) -> Self {
        Self { alignment, ..self }
    }
}

/// What a buffer is and where it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Info {
    /// Bytes, as rounded up at creation.
    pub size: u64,
    /// Bytes, at least a page.
    pub alignment: u64,
    /// The domains it was created for.
    pub domains: Domains,
    /// The flags it was created with.
    pub flags: CreateFlags,
    /// Where it is now; eviction may have taken it outside `domains`.
    pub placement: Domain,
    /// Address of its first byte as the card sees it, if it has one and is one range.
    pub gpu_addr: Option<u64>,
    /// How many of its bytes the CPU can reach where they are now: all of them outside VRAM.
    pub visible: u64,
}

/// When to stop waiting: a time of `CLOCK_MONOTONIC` in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(i64);

impl Deadline {
    /// Long gone: only ask.
    pub const PAST: Self = Self(0);
    /// Never stop.
    pub const NEVER: Self = Self(i64::MAX);

    /// So long from now.
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

/// A buffer of this process; its handle is closed when it is dropped.
#[derive(Debug)]
pub struct Buffer {
    card: Card,
    handle: u32,
    size: u64,
}

impl Buffer {
    pub(crate) fn create(card: Card, create: Create) -> Result<Self> {
        let mut args = raw::drm_pddgpu_gem_create {
            size: create.size,
            alignment: create.alignment,
            domain: create.domains.bits(),
            flags: create.flags.bits(),
            ..Default::default()
        };
        restart(|| card.raw().gem_create(&mut args)).map_err(Error::call("GEM_CREATE"))?;
        Ok(Self {
            card,
            handle: args.handle,
            size: args.size,
        })
    }

    /// The handle, valid in the file of [`Buffer::card`] only.
    pub fn handle(&self) -> u32 {
        self.handle
    }

    /// The card the buffer belongs to.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// Bytes, as rounded up at creation.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Asks what the buffer is and where.
    pub fn info(&self) -> Result<Info> {
        let mut args = raw::drm_pddgpu_gem_info {
            handle: self.handle,
            ..Default::default()
        };
        restart(|| self.card.raw().gem_info(&mut args)).map_err(Error::call("GEM_INFO"))?;
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
        })
    }

    /// Asks for the offset at which the card's file is the buffer, for `mmap()`.
    pub fn mmap_offset(&self) -> Result<NonZeroU64> {
        let mut args = raw::drm_pddgpu_gem_mmap {
            handle: self.handle,
            ..Default::default()
        };
        restart(|| self.card.raw().gem_mmap(&mut args)).map_err(Error::call("GEM_MMAP"))?;
        NonZeroU64::new(args.offset)
            .ok_or_else(|| Error::Unexpected("GEM_MMAP: 0 is no offset of a buffer".into()))
    }

    /// Maps the whole buffer, which stays mapped even when it is moved or closed.
    pub fn map(&self) -> Result<Mapping> {
        let len = usize::try_from(self.size)
            .map_err(|_| Error::Unexpected("the buffer is larger than memory".into()))?;
        Mapping::new(self.card.as_fd(), self.mmap_offset()?.get(), len)
    }

    /// Waits until nothing works on the buffer any more; false if that took too long.
    pub fn wait(&self, deadline: Deadline) -> Result<bool> {
        let args = raw::drm_pddgpu_gem_wait {
            handle: self.handle,
            timeout_ns: deadline.as_nanos(),
            ..Default::default()
        };
        match restart(|| self.card.raw().gem_wait(args)) {
            Ok(()) => Ok(true),
            Err(Errno::TIME) => Ok(false),
            Err(errno) => Err(Error::call("GEM_WAIT")(errno)),
        }
    }

    /// Moves the buffer, with its content, now.
    pub fn move_to(&self, domain: Domain) -> Result<()> {
        let args = raw::drm_pddgpu_gem_move {
            handle: self.handle,
            domain: Domains::from(domain).bits(),
        };
        restart(|| self.card.raw().gem_move(args)).map_err(Error::call("GEM_MOVE"))
    }

    /// Closes the handle now and tells what came of it.
    pub fn close(mut self) -> Result<()> {
        self.close_handle().map_err(Error::call("GEM_CLOSE"))
    }

    fn close_handle(&mut self) -> rustix::io::Result<()> {
        // Once closed, the number may become another buffer's; 0 never is one.
        match std::mem::take(&mut self.handle) {
            0 => Ok(()),
            handle => self.card.raw().gem_close(handle),
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // The one error there can be is a card that is gone, and the handle goes with its file.
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
