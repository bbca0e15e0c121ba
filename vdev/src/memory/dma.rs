// SPDX-License-Identifier: GPL-2.0

//! The guest's memory as the card reaches it: by bus address, through what the client has mapped.
//!
//! The client sends a file descriptor with each map of guest RAM, which is mapped here at once.
//! Maps that come without one (ROMs, other functions' BARs) are kept too, but cannot be accessed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use rustix::mm::{MapFlags, ProtFlags};
use thiserror::Error;
use vm_memory::mmap::MmapRegionBuilder;
use vm_memory::{FileOffset, MmapRegion, VolatileMemory, VolatileSlice};

use crate::address_space::ADDRESS_BITS;

/// Why an access of the card to the guest's memory failed, with the bus address where it did.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DmaError {
    /// The address has more bits than the card drives.
    #[error("bus address {0:#x} has more than {ADDRESS_BITS} bits")]
    TooHigh(u64),
    /// Nothing is mapped there.
    #[error("nothing is mapped at bus address {0:#x}")]
    Unmapped(u64),
    /// What is mapped there is no memory that can be shared.
    #[error("what is mapped at bus address {0:#x} cannot be accessed")]
    NotMemory(u64),
    /// What is mapped there cannot be written.
    #[error("bus address {0:#x} is read-only")]
    ReadOnly(u64),
}

struct Mapping {
    len: u64,
    writable: bool,
    memory: Option<MmapRegion>,
}

/// The bus addresses that are mapped.
#[derive(Default)]
pub struct DmaSpace {
    /// Disjoint mappings by their first bus address.
    mappings: BTreeMap<u64, Mapping>,
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// Maps `len` bytes of `file` from `offset` on.
fn map_file(file: File, offset: u64, len: u64, writable: bool) -> io::Result<MmapRegion> {
    // Touching a page behind the end of a file kills the process, so never map one.
    let file_len = file.metadata()?.len();
    if offset.checked_add(len).is_none_or(|end| end > file_len) {
        return Err(invalid(format!(
            "DMA map: {len:#x} bytes at {offset:#x} end after the file"
        )));
    }
    let prot = if writable {
        ProtFlags::READ | ProtFlags::WRITE
    } else {
        ProtFlags::READ
    };
    let len = usize::try_from(len).map_err(|error| invalid(error.to_string()))?;
    MmapRegionBuilder::new(len)
        .with_file_offset(FileOffset::new(file, offset))
        .with_mmap_prot(prot.bits() as i32)
        .with_mmap_flags((MapFlags::SHARED | MapFlags::NORESERVE).bits() as i32)
        .build()
        .map_err(io::Error::other)
}

impl DmaSpace {
    /// Maps `len` bytes from bus address `address` on to `file` from `offset` on.
    ///
    /// # Errors
    ///
    /// If the range is empty, wraps or overlaps another, or the file cannot be mapped.
    pub fn map(
        &mut self,
        address: u64,
        len: u64,
        writable: bool,
        file: Option<(File, u64)>,
    ) -> io::Result<()> {
        let last = len
            .checked_sub(1)
            .and_then(|more| address.checked_add(more))
            .ok_or_else(|| invalid(format!("DMA map: no range: {len:#x} at {address:#x}")))?;
        if let Some((start, mapping)) = self.mappings.range(..=last).next_back() {
            if *start + (mapping.len - 1) >= address {
                let message = format!("DMA map: {address:#x} overlaps the one at {start:#x}");
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
            }
        }
        let memory = file
            .map(|(file, offset)| map_file(file, offset, len, writable))
            .transpose()?;
        self.mappings.insert(
            address,
            Mapping {
                len,
                writable,
                memory,
            },
        );
        Ok(())
    }

    /// Unmaps every mapping that lies within the range; says how many bytes that were.
    pub fn unmap(&mut self, address: u64, len: u64) -> u64 {
        let mut unmapped = 0;
        self.mappings.retain(|start, mapping| {
            let within =
                *start >= address && mapping.len <= len && *start - address <= len - mapping.len;
            if within {
                unmapped += mapping.len;
            }
            !within
        });
        unmapped
    }

    /// Unmaps everything.
    pub fn clear(&mut self) {
        self.mappings.clear();
    }

    /// Number of mappings.
    pub fn count(&self) -> usize {
        self.mappings.len()
    }

    /// Bytes that are mapped.
    pub fn bytes(&self) -> u64 {
        self.mappings.values().map(|mapping| mapping.len).sum()
    }

    /// The memory at `address`, as far as it is in one piece but at most `len` bytes.
    pub fn slice(
        &self,
        address: u64,
        len: usize,
        write: bool,
    ) -> Result<VolatileSlice<'_>, DmaError> {
        if address >> ADDRESS_BITS != 0 {
            return Err(DmaError::TooHigh(address));
        }
        let (start, mapping) = self
            .mappings
            .range(..=address)
            .next_back()
            .ok_or(DmaError::Unmapped(address))?;
        let offset = address - start;
        if offset >= mapping.len {
            return Err(DmaError::Unmapped(address));
        }
        let memory = mapping
            .memory
            .as_ref()
            .ok_or(DmaError::NotMemory(address))?;
        if write && !mapping.writable {
            return Err(DmaError::ReadOnly(address));
        }
        let len = (mapping.len - offset)
            .min((1 << ADDRESS_BITS) - address)
            .min(len as u64);
        memory
            .get_slice(offset as usize, len as usize)
            .map_err(|_| DmaError::NotMemory(address))
    }

    /// How many of `len` bytes from `address` on can be accessed.
    pub fn reach(&self, address: u64, len: u64, write: bool) -> u64 {
        let mut done = 0;
        while done < len {
            let at = address.saturating_add(done);
            match self.slice(at, (len - done) as usize, write) {
                Ok(slice) => done += slice.len() as u64,
                Err(_) => break,
            }
        }
        done
    }

    /// Reads the guest's memory from bus address `address` on. On an error, the bytes before the
    /// address it names have been read.
    pub fn read(&self, address: u64, data: &mut [u8]) -> Result<(), DmaError> {
        let mut done = 0;
        while done < data.len() {
            let at = address.saturating_add(done as u64);
            let slice = self.slice(at, data.len() - done, false)?;
            done += slice.copy_to(&mut data[done..]);
        }
        Ok(())
    }

    /// Writes the guest's memory from bus address `address` on. On an error, the bytes before
    /// the address it names have been written.
    pub fn write(&self, address: u64, data: &[u8]) -> Result<(), DmaError> {
        let mut done = 0;
        while done < data.len() {
            let at = address.saturating_add(done as u64);
            let slice = self.slice(at, data.len() - done, true)?;
            slice.copy_from(&data[done..done + slice.len()]);
            done += slice.len();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    fn file(len: u64) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(len).unwrap();
        file
    }

    #[test]
    fn reads_and_writes_across_mappings() {
        let (low, high) = (file(0x3000), file(0x1000));
        let mut space = DmaSpace::default();
        space
            .map(
                0x1000,
                0x2000,
                true,
                Some((low.try_clone().unwrap(), 0x1000)),
            )
            .unwrap();
        space
            .map(0x3000, 0x1000, true, Some((high.try_clone().unwrap(), 0)))
            .unwrap();
        assert_eq!((space.count(), space.bytes()), (2, 0x3000));

        space.write(0x2ffe, b"abcd").unwrap();
        let mut data = [0; 4];
        space.read(0x2ffe, &mut data).unwrap();
        assert_eq!(&data, b"abcd");
        low.read_exact_at(&mut data[..2], 0x2ffe).unwrap();
        high.read_exact_at(&mut data[2..], 0).unwrap();
        assert_eq!(&data, b"abcd");
    }

    #[test]
    fn accesses_that_fail() {
        let mut space = DmaSpace::default();
        let high = 1 << ADDRESS_BITS;
        space
            .map(0x1000, 0x1000, true, Some((file(0x1000), 0)))
            .unwrap();
        space
            .map(0x2000, 0x1000, false, Some((file(0x1000), 0)))
            .unwrap();
        space.map(0x3000, 0x1000, true, None).unwrap();
        space
            .map(high - 0x1000, 0x2000, true, Some((file(0x2000), 0)))
            .unwrap();

        let table = [
            (
                0x0fff,
                1,
                Err(DmaError::Unmapped(0xfff)),
                Err(DmaError::Unmapped(0xfff)),
            ),
            (0x1000, 1, Ok(()), Ok(())),
            (0x1fff, 2, Ok(()), Err(DmaError::ReadOnly(0x2000))),
            (
                0x2000,
                0x1001,
                Err(DmaError::NotMemory(0x3000)),
                Err(DmaError::ReadOnly(0x2000)),
            ),
            (
                0x4000,
                1,
                Err(DmaError::Unmapped(0x4000)),
                Err(DmaError::Unmapped(0x4000)),
            ),
            (high - 1, 1, Ok(()), Ok(())),
            (
                high - 1,
                2,
                Err(DmaError::TooHigh(high)),
                Err(DmaError::TooHigh(high)),
            ),
            (
                u64::MAX,
                2,
                Err(DmaError::TooHigh(u64::MAX)),
                Err(DmaError::TooHigh(u64::MAX)),
            ),
        ];
        for (address, len, read, write) in table {
            assert_eq!(space.read(address, &mut vec![0; len]), read, "{address:#x}");
            assert_eq!(space.write(address, &vec![0; len]), write, "{address:#x}");
            for (result, is_write) in [(read, false), (write, true)] {
                let reach = space.reach(address, len as u64, is_write);
                assert_eq!(reach == len as u64, result.is_ok(), "{address:#x}");
            }
        }
    }

    #[test]
    fn maps_that_fail() {
        let mut space = DmaSpace::default();
        space.map(0x2000, 0x2000, true, None).unwrap();
        for (address, len) in [(0x1000, 0x1001), (0x2000, 1), (0x3fff, 1), (0, u64::MAX)] {
            let error = space.map(address, len, true, None).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{address:#x}");
        }
        for (address, len) in [(0x8000, 0), (u64::MAX, 2)] {
            let error = space.map(address, len, true, None).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{address:#x}");
        }
        for (offset, len) in [
            (0, 0x2000),
            (0x1000, 0x1000),
            (u64::MAX, 0x1000),
            (0x10, 0x10),
        ] {
            assert!(space
                .map(0x8000, len, true, Some((file(0x1000), offset)))
                .is_err());
        }
        assert_eq!(space.count(), 1);
        space.map(0x1000, 0x1000, true, None).unwrap();
        space.map(0x4000, 0x1000, true, None).unwrap();
        space.map(u64::MAX, 1, true, None).unwrap();
    }

    #[test]
    fn reach_ends_where_accesses_fail() {
        let mut space = DmaSpace::default();
        let ram = file(0x3000);
        for page in [0, 0x1000] {
            let part = Some((ram.try_clone().unwrap(), page));
            space.map(0x1000 + page, 0x1000, true, part).unwrap();
        }
        space
            .map(0x3000, 0x1000, false, Some((ram, 0x2000)))
            .unwrap();
        assert_eq!(space.reach(0x1800, 0x10000, false), 0x2800);
        assert_eq!(space.reach(0x1800, 0x10000, true), 0x1800);
        assert_eq!(space.reach(0x1800, 0x10, true), 0x10);
        assert_eq!(space.reach(0x4000, 0x10, false), 0);
    }

    #[test]
    fn unmap_takes_whole_mappings_only() {
        let mut space = DmaSpace::default();
        for address in [0x1000, 0x2000, 0x3000] {
            space.map(address, 0x1000, true, None).unwrap();
        }
        assert_eq!(space.unmap(0x1800, 0x2000), 0x1000);
        assert_eq!(
            space.read(0x2000, &mut [0]),
            Err(DmaError::Unmapped(0x2000))
        );
        assert_eq!(space.unmap(0x2000, 0), 0);
        assert_eq!(space.unmap(0, u64::MAX), 0x2000);
        space.map(0x1000, 0x1000, true, None).unwrap();
        space.clear();
        assert_eq!((space.count(), space.bytes()), (0, 0));
    }
}
