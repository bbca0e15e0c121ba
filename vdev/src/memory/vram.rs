// SPDX-License-Identifier: GPL-2.0

//! The card's memory, and the aperture through which the CPU sees the first part of it.
//!
//! # How the aperture is opened and closed
//!
//! A vfio-user server says once, before the guest runs, which file the client maps for a BAR, and
//! has no way to take the mapping back. What it can change is what the file holds. So there are
//! two memfds with the same offsets:
//!
//! - the *aperture*, as long as BAR2, which the client maps straight into the guest;
//! - the *store*, as long as the VRAM, which nobody else sees.
//!
//! VRAM beyond the aperture is always in the store. While the aperture is open, VRAM below it is
//! in the aperture file and nowhere else: the guest's loads and stores reach it with no copy and
//! no exit, and whoever reads it here reads the same pages. While the aperture is closed, that
//! part is in the store, and the aperture file holds ones, which is what the guest then reads.
//! What it writes goes into pages that are thrown away when the aperture opens. (It can read such
//! a write back until then: the one thing that differs from a real bus.)
//!
//! Opening and closing move only pages that hold something: both files are sparse, and holes stay
//! holes. It costs time and memory in proportion to the aperture, never to the VRAM.
//!
//! Tests' requests reach contents by `pread` and `pwrite`: reading a hole through a mapping would
//! allocate it, and searching an 8 GiB card must not take 8 GiB. The engines, which have to be
//! fast, go through mappings ([`Vram::access`]) and look for holes first.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rustix::fs::{fallocate, memfd_create, seek, FallocateFlags, MemfdFlags, SeekFrom};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use thiserror::Error;
use vm_memory::mmap::MmapRegionBuilder;
use vm_memory::{FileOffset, MmapRegion, VolatileMemory, VolatileSlice};

/// Bytes that are moved in one go.
const CHUNK: usize = 1 << 20;

/// Bytes that have to be in a hole for [`VramAccess`] to notice it.
const GRAIN: u64 = 256 << 10;

/// What is in the memory when its content is lost.
const GARBAGE: [u8; 4] = [0xde, 0xc0, 0xad, 0x0b];

/// Why an access to the VRAM failed.
#[derive(Debug, Error)]
pub enum VramError {
    /// The range does not lie within the VRAM.
    #[error("{len:#x} bytes at {offset:#x} are not within the {vram:#x} bytes of VRAM")]
    OutOfRange {
        /// Where the range begins, in bytes.
        offset: u64,
        /// Bytes in the range.
        len: u64,
        /// Bytes of VRAM there are.
        vram: u64,
    },
    /// The host has no memory left, or the like.
    #[error("VRAM: {0}")]
    Io(#[from] io::Error),
}

/// The memory of one card.
pub struct Vram {
    aperture: File,
    store: File,
    /// [`Vram::aperture`] mapped, if it has any bytes.
    aperture_map: Option<MmapRegion>,
    /// [`Vram::store`] mapped.
    store_map: Option<MmapRegion>,
    len: u64,
    aperture_len: u64,
    /// Whether the aperture is open. Accesses hold it shared, so that a byte is where the state
    /// says it is; opening and closing hold it exclusively.
    open: RwLock<bool>,
}

/// The last position at or after `offset` and before `end` from which there is data, with where
/// that data ends; `None` if only a hole is left.
fn next_data(file: &File, offset: u64, end: u64) -> io::Result<Option<Range<u64>>> {
    if offset >= end {
        return Ok(None);
    }
    let start = match seek(file, SeekFrom::Data(offset)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if start >= end {
        return Ok(None);
    }
    let stop = seek(file, SeekFrom::Hole(start))?;
    Ok(Some(start..stop.min(end)))
}

/// The ranges of `file` within `range` that hold data.
fn data_in(file: &File, range: Range<u64>) -> io::Result<Vec<Range<u64>>> {
    let mut ranges = Vec::new();
    let mut offset = range.start;
    while let Some(data) = next_data(file, offset, range.end)? {
        offset = data.end;
        ranges.push(data);
    }
    Ok(ranges)
}

/// Makes a range read zero and gives its whole pages back.
fn punch(file: &File, range: Range<u64>) -> io::Result<()> {
    if range.is_empty() {
        return Ok(());
    }
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(fallocate(
        file,
        flags,
        range.start,
        range.end - range.start,
    )?)
}

/// Splits a range into pieces of at most [`CHUNK`] bytes.
fn chunks(range: Range<u64>) -> impl Iterator<Item = (u64, usize)> {
    let end = range.end;
    range
        .step_by(CHUNK)
        .map(move |at| (at, (end - at).min(CHUNK as u64) as usize))
}

/// Copies what `from` holds within `range` to the same place in `to`, which has a hole there.
fn copy_data(from: &File, to: &File, range: Range<u64>) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    for data in data_in(from, range)? {
        for (offset, len) in chunks(data) {
            from.read_exact_at(&mut buffer[..len], offset)?;
            to.write_all_at(&buffer[..len], offset)?;
        }
    }
    Ok(())
}

/// Repeats `pattern` over a range.
fn fill(file: &File, range: Range<u64>, pattern: [u8; 4]) -> io::Result<()> {
    let buffer = pattern.repeat(CHUNK / pattern.len());
    for (offset, len) in chunks(range) {
        file.write_all_at(&buffer[..len], offset)?;
    }
    Ok(())
}

fn memory(name: &str, len: u64) -> io::Result<File> {
    let file = File::from(memfd_create(name, MemfdFlags::CLOEXEC)?);
    file.set_len(len)?;
    Ok(file)
}

/// Maps a whole file, which stays as long as it is.
fn map(file: &File, len: u64) -> io::Result<Option<MmapRegion>> {
    if len == 0 {
        return Ok(None);
    }
    MmapRegionBuilder::new(usize::try_from(len).map_err(io::Error::other)?)
        .with_file_offset(FileOffset::new(file.try_clone()?, 0))
        .with_mmap_prot((ProtFlags::READ | ProtFlags::WRITE).bits() as i32)
        .with_mmap_flags((MapFlags::SHARED | MapFlags::NORESERVE).bits() as i32)
        .build()
        .map(Some)
        .map_err(io::Error::other)
}

/// The beginning of a range of VRAM, with its length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Zeroes that take no memory of the host.
    Hole(u64),
    /// Anything.
    Data(u64),
}

/// The VRAM as engines reach it. While one of these exists the aperture neither opens nor closes.
pub struct VramAccess<'a> {
    vram: &'a Vram,
    open: RwLockReadGuard<'a, bool>,
    /// Where [`VramAccess::part`] has found data last.
    data: Cell<(u64, u64)>,
}

impl<'a> VramAccess<'a> {
    /// Bytes of VRAM.
    pub fn len(&self) -> u64 {
        self.vram.len
    }

    /// The memory at `offset`, as far as it is in one piece but at most `len` bytes; `None`
    /// beyond the end of the VRAM. To read a hole through it allocates the hole.
    pub fn slice(&self, offset: u64, len: u64) -> Option<VolatileSlice<'a>> {
        let (_, map, end) = self.vram.backing(*self.open, offset)?;
        let len = len.min(end - offset);
        map?.get_slice(offset as usize, len as usize).ok()
    }

    /// Whether a range begins with a hole or with data, and how much of it.
    ///
    /// Looking costs a system call, so what has data at one place is taken to have data up to the
    /// next multiple of [`GRAIN`]: smaller holes are no holes.
    pub fn part(&self, offset: u64, len: u64) -> Part {
        let (start, end) = self.data.get();
        if (start..end).contains(&offset) {
            return Part::Data(len.min(end - offset));
        }
        let Some((file, _, end)) = self.vram.backing(*self.open, offset) else {
            return Part::Hole(len);
        };
        let end = end.min(offset.saturating_add(len));
        // An error means a hole up to the end of the file, or makes it none to be on the safe side.
        match seek(file, SeekFrom::Data(offset)) {
            Err(Errno::NXIO) => Part::Hole(end - offset),
            Ok(start) if start > offset => Part::Hole(start.min(end) - offset),
            _ => {
                let grain = (offset + 1).next_multiple_of(GRAIN);
                self.data.set((offset, grain));
                Part::Data(end.min(grain) - offset)
            }
        }
    }
}

impl Vram {
    /// `len` zeroed bytes of VRAM under a closed aperture of `aperture_len` bytes, which may be
    /// none, less or more.
    pub fn new(len: u64, aperture_len: u64) -> io::Result<Self> {
        let aperture = memory("pddgpu-aperture", aperture_len)?;
        let store = memory("pddgpu-vram", len)?;
        let vram = Vram {
            aperture_map: map(&aperture, aperture_len)?,
            store_map: map(&store, len)?,
            aperture,
            store,
            len,
            aperture_len,
            open: RwLock::new(false),
        };
        fill(&vram.aperture, 0..aperture_len, [0xff; 4])?;
        Ok(vram)
    }

    /// Bytes of VRAM.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Bytes of VRAM that lie under the aperture.
    pub fn visible_len(&self) -> u64 {
        self.len.min(self.aperture_len)
    }

    /// Bytes of BAR2; zero if there is none.
    pub fn aperture_len(&self) -> u64 {
        self.aperture_len
    }

    /// The file behind BAR2, to be mapped by the client.
    pub fn aperture(&self) -> &File {
        &self.aperture
    }

    fn shared(&self) -> RwLockReadGuard<'_, bool> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn exclusive(&self) -> RwLockWriteGuard<'_, bool> {
        self.open.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the aperture is open.
    pub fn is_open(&self) -> bool {
        *self.shared()
    }

    /// Opens or closes the aperture; says whether that changed anything.
    pub fn set_open(&self, open: bool) -> io::Result<bool> {
        let mut state = self.exclusive();
        if *state == open {
            return Ok(false);
        }
        let visible = 0..self.visible_len();
        // The state changes as soon as one file holds everything, so that an error on the way,
        // that is a host without memory, loses no content. The other file's copy is dead then.
        if open {
            punch(&self.aperture, visible.clone())?;
            copy_data(&self.store, &self.aperture, visible.clone())?;
            *state = true;
            punch(&self.store, visible)?;
        } else {
            // What an attempt that failed has left would show through where there are holes now.
            punch(&self.store, visible.clone())?;
            copy_data(&self.aperture, &self.store, visible)?;
            *state = false;
            fill(&self.aperture, 0..self.aperture_len, [0xff; 4])?;
        }
        Ok(true)
    }

    /// Has the memory lose its content. What held nothing still reads zero.
    pub fn scramble(&self) -> io::Result<()> {
        let open = self.exclusive();
        for (file, range) in self.pieces(*open, 0..self.len) {
            for data in data_in(file, range)? {
                fill(file, data, GARBAGE)?;
            }
        }
        Ok(())
    }

    /// The range as `start..end`, if it lies within the VRAM.
    pub fn check(&self, offset: u64, len: u64) -> Result<Range<u64>, VramError> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len => Ok(offset..end),
            _ => Err(VramError::OutOfRange {
                offset,
                len,
                vram: self.len,
            }),
        }
    }

    /// The file or files that hold `range` while the aperture is `open`, with their parts of it.
    fn pieces(&self, open: bool, range: Range<u64>) -> impl Iterator<Item = (&File, Range<u64>)> {
        let border = if open { self.visible_len() } else { 0 };
        let border = border.clamp(range.start, range.end);
        let pieces = [
            (&self.aperture, range.start..border),
            (&self.store, border..range.end),
        ];
        pieces.into_iter().filter(|(_, part)| !part.is_empty())
    }

    /// What holds the byte at `offset` while the aperture is `open`: the file, its mapping and
    /// the offset up to which it holds VRAM. `None` beyond the end of the VRAM.
    fn backing(&self, open: bool, offset: u64) -> Option<(&File, Option<&MmapRegion>, u64)> {
        if open && offset < self.visible_len() {
            Some((
                &self.aperture,
                self.aperture_map.as_ref(),
                self.visible_len(),
            ))
        } else if offset < self.len {
            Some((&self.store, self.store_map.as_ref(), self.len))
        } else {
            None
        }
    }

    /// Lets an engine in.
    pub fn access(&self) -> VramAccess<'_> {
        VramAccess {
            vram: self,
            open: self.shared(),
            data: Cell::new((0, 0)),
        }
    }

    /// Reads VRAM from `offset` on.
    pub fn read(&self, offset: u64, data: &mut [u8]) -> Result<(), VramError> {
        let range = self.check(offset, data.len() as u64)?;
        let open = self.shared();
        for (file, part) in self.pieces(*open, range) {
            let at = (part.start - offset) as usize..(part.end - offset) as usize;
            file.read_exact_at(&mut data[at], part.start)?;
        }
        Ok(())
    }

    /// Writes VRAM from `offset` on.
    pub fn write(&self, offset: u64, data: &[u8]) -> Result<(), VramError> {
        let range = self.check(offset, data.len() as u64)?;
        let open = self.shared();
        for (file, part) in self.pieces(*open, range) {
            let at = (part.start - offset) as usize..(part.end - offset) as usize;
            file.write_all_at(&data[at], part.start)?;
        }
        Ok(())
    }

    /// Repeats `pattern` over `len` bytes from `offset` on. Zeroes give the memory back.
    pub fn fill(&self, offset: u64, len: u64, pattern: [u8; 4]) -> Result<(), VramError> {
        let range = self.check(offset, len)?;
        let open = self.shared();
        for (file, part) in self.pieces(*open, range) {
            if pattern == [0; 4] {
                punch(file, part)?;
            } else {
                let mut turned = pattern;
                turned.rotate_left(((part.start - offset) % 4) as usize);
                fill(file, part, turned)?;
            }
        }
        Ok(())
    }

    /// The parts of a range that may hold anything but zeroes, rising and disjoint.
    pub fn data(&self, offset: u64, len: u64) -> Result<Vec<Range<u64>>, VramError> {
        let range = self.check(offset, len)?;
        let open = self.shared();
        let mut ranges = Vec::new();
        for (file, part) in self.pieces(*open, range) {
            ranges.extend(data_in(file, part)?);
        }
        Ok(ranges)
    }

    /// Reads BAR2 for a client that does not map it; ones where there is no BAR2.
    pub fn read_aperture(&self, offset: u64, data: &mut [u8]) {
        let within = offset
            .checked_add(data.len() as u64)
            .is_some_and(|e| e <= self.aperture_len);
        if !within || self.aperture.read_exact_at(data, offset).is_err() {
            data.fill(0xff);
        }
    }

    /// Writes BAR2 for a client that does not map it; dropped while the aperture is closed.
    pub fn write_aperture(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let within = offset
            .checked_add(data.len() as u64)
            .is_some_and(|e| e <= self.aperture_len);
        let open = self.shared();
        if within && *open {
            self.aperture.write_all_at(data, offset)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
