// SPDX-License-Identifier: GPL-2.0

//! Page faults and evictions.

use std::{
    os::fd::{AsFd, BorrowedFd},
    ptr,
    time::{Duration, Instant},
};

use anyhow::Result;
use pddgpu::{Card, Create, CreateFlags, Domain, Domains};
use rustix::{
    fs::MemfdFlags,
    mm::{MapFlags, ProtFlags},
};

use super::{
    measure::{Table, ROUNDS},
    peers,
};

const PAGE: usize = 4096;
/// Bytes of which each page is touched.
const SIZE: usize = 64 << 10;

/// Maps a file, and tells how long it takes to read a byte of each page.
fn touch(file: BorrowedFd<'_>, offset: u64) -> Result<Duration> {
    // SAFETY: A mapping of its own, which is gone before this returns.
    let map = unsafe {
        rustix::mm::mmap(
            ptr::null_mut(),
            SIZE,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED,
            file,
            offset,
        )
    }?;
    let start = Instant::now();

    for page in (0..SIZE).step_by(PAGE) {
        // SAFETY: Inside of the mapping.
        unsafe { map.cast::<u8>().add(page).read_volatile() };
    }
    let took = start.elapsed();
    // SAFETY: Nobody uses it any more.
    unsafe { rustix::mm::munmap(map, SIZE) }?;
    Ok(took)
}

/// Page faults of 64 KiB.
pub fn faults(table: &mut Table, card: &Card) -> Result<()> {
    const COUNT: u32 = 200;

    table.group("page faults of 64 KiB, read page by page");
    for (name, domain) in [("VRAM", Domain::Vram), ("GTT", Domain::Gtt)] {
        let create = Create::new(SIZE as u64, domain.into());
        let buffer = card.create(create.flags(CreateFlags::CPU_ACCESS_REQUIRED))?;
        let offset = buffer.mmap_offset()?.get();

        table.measure_timed(name, COUNT, || touch(card.as_fd(), offset))?;
    }

    let vgem = peers::vgem()?;
    let dumb = drm_ffi::mode::dumbbuffer::create(vgem.as_fd(), 1024, 16, 32, 0)?;
    let offset = drm_ffi::mode::dumbbuffer::map(vgem.as_fd(), dumb.handle, 0, 0)?.offset;
    table.measure_timed("vgem dumb", COUNT, || touch(vgem.as_fd(), offset))?;

    let memfd = rustix::fs::memfd_create("bench", MemfdFlags::CLOEXEC)?;
    rustix::fs::ftruncate(&memfd, SIZE as u64)?;
    table.measure_timed("memfd", COUNT, || touch(memfd.as_fd(), 0))
}

/// The creation of a buffer for which another one has to go.
pub fn evictions(table: &mut Table, card: &Card) -> Result<()> {
    const COUNT: u32 = 100;
    let create = Create::new(SIZE as u64, Domains::VRAM);
    // The first to go are those that were created first: all that are evicted are of this size.
    let mut small = (0..COUNT * (ROUNDS + 1))
        .map(|_| card.create(create))
        .collect::<Result<Vec<_>, _>>()?;
    let heaps = card.heaps()?;
    let room = heaps
        .iter()
        .find(|heap| heap.domain == Domain::Vram)
        .map_or(0, |heap| heap.usable - (heap.used - heap.reserved));

    table.group("VRAM full");
    let _rest = card.create(Create::new(room, Domains::VRAM))?;
    table.measure("64 KiB created and another 64 KiB evicted", COUNT, || {
        small.push(card.create(create)?);
        Ok(())
    })
}
