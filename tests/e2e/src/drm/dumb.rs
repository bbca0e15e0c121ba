// SPDX-License-Identifier: GPL-2.0

//! Dumb buffers, in which programs draw that know no driver.

use std::{ffi::c_void, os::fd::AsFd, ptr};

use anyhow::{ensure, Context, Result};
use drm_ffi::mode::dumbbuffer;
use libtest_mimic::Trial;
use pddgpu::Card;
use rustix::mm::{mmap, munmap, MapFlags, ProtFlags};

use crate::support::{
    fixture::{trials, Bench},
    nodes::primary_node,
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        keeps_a_picture,
        outlives_its_handle,
        rounds_lines_up,
        rejects_pictures_of_no_size,
        is_for_primary_nodes,
    )
}

/// The bytes of a picture in this process.
struct Pixels {
    start: *mut c_void,
    len: usize,
}

impl Pixels {
    fn map(card: &Card, handle: u32, len: u64) -> Result<Self> {
        let map = dumbbuffer::map(card.as_fd(), handle, 0, 0).context("MAP_DUMB")?;
        let len = usize::try_from(len)?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: The kernel chooses a free address, and nothing refers to what is there.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                len,
                access,
                MapFlags::SHARED,
                card.as_fd(),
                map.offset,
            )
        }
        .context("mmap")?;
        Ok(Self { start, len })
    }

    fn read(&self, at: usize) -> u8 {
        assert!(at < self.len);
        // SAFETY: The byte is in the range of the mapping.
        unsafe { self.start.cast::<u8>().add(at).read_volatile() }
    }

    fn write(&self, at: usize, byte: u8) {
        assert!(at < self.len);
        // SAFETY: The byte is in the range of the mapping.
        unsafe { self.start.cast::<u8>().add(at).write_volatile(byte) }
    }
}

impl Drop for Pixels {
    fn drop(&mut self) {
        // SAFETY: The range is this mapping's, and nothing refers to it.
        let unmapped = unsafe { munmap(self.start, self.len) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}

fn primary(bench: &Bench) -> Result<Card> {
    Ok(Card::open(primary_node(&bench.card)?)?)
}

fn keeps_a_picture(bench: &Bench) -> Result<()> {
    let card = primary(bench)?;
    let picture = dumbbuffer::create(card.as_fd(), 640, 480, 32, 0).context("CREATE_DUMB")?;
    ensure!(picture.pitch == 640 * 4, "{picture:?}");
    ensure!(picture.size >= 640 * 480 * 4, "{picture:?}");
    let pixels = Pixels::map(&card, picture.handle, picture.size)?;
    ensure!((0..pixels.len).all(|at| pixels.read(at) == 0), "not zeroed");
    for at in (0..pixels.len).step_by(4096) {
        pixels.write(at, (at >> 12) as u8);
    }
    let again = Pixels::map(&card, picture.handle, picture.size)?;
    for at in (0..again.len).step_by(4096) {
        ensure!(again.read(at) == (at >> 12) as u8, "at {at:#x}");
    }
    drop((pixels, again));
    dumbbuffer::destroy(card.as_fd(), picture.handle).context("DESTROY_DUMB")?;
    ensure!(dumbbuffer::map(card.as_fd(), picture.handle, 0, 0).is_err());
    Ok(())
}

fn outlives_its_handle(bench: &Bench) -> Result<()> {
    let card = primary(bench)?;
    let picture = dumbbuffer::create(card.as_fd(), 64, 64, 32, 0)?;
    let pixels = Pixels::map(&card, picture.handle, picture.size)?;
    pixels.write(0, 0x5a);
    dumbbuffer::destroy(card.as_fd(), picture.handle)?;
    ensure!(pixels.read(0) == 0x5a);
    pixels.write(picture.size as usize - 1, 0xa5);
    ensure!(pixels.read(picture.size as usize - 1) == 0xa5);
    Ok(())
}

fn rounds_lines_up(bench: &Bench) -> Result<()> {
    let card = primary(bench)?;
    for (width, bpp, pitch) in [(1, 32, 64), (17, 32, 128), (3, 16, 64), (100, 8, 128)] {
        let picture = dumbbuffer::create(card.as_fd(), width, 3, bpp, 0)?;
        ensure!(picture.pitch == pitch, "{width} of {bpp}: {picture:?}");
        ensure!(picture.size == 4096, "{picture:?}");
        dumbbuffer::destroy(card.as_fd(), picture.handle)?;
    }
    Ok(())
}

fn rejects_pictures_of_no_size(bench: &Bench) -> Result<()> {
    let card = primary(bench)?;
    for (width, height, bpp) in [
        (0, 1, 32),
        (1, 0, 32),
        (1, 1, 0),
        (u32::MAX, u32::MAX, 32),
        (1 << 24, 1 << 24, 8),
    ] {
        let result = dumbbuffer::create(card.as_fd(), width, height, bpp, 0);
        ensure!(result.is_err(), "{width} x {height} x {bpp}: {result:?}");
    }
    Ok(())
}

fn is_for_primary_nodes(bench: &Bench) -> Result<()> {
    let result = dumbbuffer::create(bench.card.as_fd(), 64, 64, 32, 0);
    let errno = result.map_err(|err| err.raw_os_error());
    ensure!(
        errno == Err(Some(rustix::io::Errno::ACCESS.raw_os_error())),
        "{errno:?}"
    );
    Ok(())
}
