// SPDX-License-Identifier: GPL-2.0

//! The two memories that engines work on, the card's and the guest's, and moving bytes between
//! them at the speed of the host's memory.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use vm_memory::{Bytes, VolatileSlice};

use crate::memory::dma::DmaSpace;
use crate::memory::vram::{Part, Vram, VramAccess};

/// Bytes of the pattern that is written over and over by a fill: few enough for the caches.
const PATTERN_LEN: usize = 64 << 10;

static ZEROES: [u8; PATTERN_LEN] = [0; PATTERN_LEN];

/// Where bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// An offset into VRAM.
    Vram(u64),
    /// A bus address.
    Bus(u64),
}

impl Place {
    fn plus(self, bytes: u64) -> Place {
        match self {
            Place::Vram(offset) => Place::Vram(offset.saturating_add(bytes)),
            Place::Bus(address) => Place::Bus(address.saturating_add(bytes)),
        }
    }
}

/// Bytes to be moved, between places that have been found to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// Copies `len` bytes.
    Copy {
        /// Where from.
        src: Place,
        /// Where to.
        dst: Place,
        /// Bytes.
        len: u64,
    },
    /// Repeats a word.
    Fill {
        /// The word.
        word: u32,
        /// Where to.
        dst: Place,
        /// Bytes.
        len: u64,
    },
}

/// The card's memory and the guest's.
#[derive(Clone)]
pub struct Memory {
    /// The card's, which synchronizes accesses by itself.
    pub vram: Arc<Vram>,
    dma: Arc<RwLock<DmaSpace>>,
}

impl Memory {
    /// A card's memory, and no guest's yet.
    pub fn new(vram: Vram) -> Self {
        Memory {
            vram: Arc::new(vram),
            dma: Arc::default(),
        }
    }

    /// The guest's memory, to access it.
    pub fn dma(&self) -> RwLockReadGuard<'_, DmaSpace> {
        self.dma.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The guest's memory, to change what is mapped. Waits for the engines' transfers.
    pub fn dma_mut(&self) -> RwLockWriteGuard<'_, DmaSpace> {
        self.dma.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when no transfer is under way. Whoever keeps others from starting, by the card's
    /// lock, knows then that there is none.
    pub fn quiesce(&self) {
        drop(self.dma_mut());
    }

    /// Lets an engine in. Until it leaves, no mapping goes and the aperture keeps its state, so
    /// what has been found to be there stays there.
    pub fn access(&self) -> Access<'_> {
        Access {
            dma: self.dma(),
            vram: self.vram.access(),
        }
    }
}

/// Both memories, as they are now.
pub struct Access<'a> {
    dma: RwLockReadGuard<'a, DmaSpace>,
    vram: VramAccess<'a>,
}

impl Access<'_> {
    /// The memory at `place`, as far as it is in one piece but at most `len` bytes.
    fn slice(&self, place: Place, len: u64, write: bool) -> Option<VolatileSlice<'_>> {
        match place {
            Place::Vram(offset) => self.vram.slice(offset, len),
            Place::Bus(address) => self.dma.slice(address, len as usize, write).ok(),
        }
    }

    /// How many of `len` bytes from `place` on are there for an access.
    pub fn reach(&self, place: Place, len: u64, write: bool) -> u64 {
        match place {
            Place::Vram(offset) => len.min(self.vram.len().saturating_sub(offset)),
            Place::Bus(address) => self.dma.reach(address, len, write),
        }
    }

    /// Hands out the pieces of a range one after another. What is not there is left out.
    fn pieces(&self, place: Place, len: u64, mut each: impl FnMut(u64, VolatileSlice<'_>)) {
        let mut done = 0;
        while done < len {
            let Some(slice) = self.slice(place.plus(done), len - done, true) else {
                return;
            };
            each(done, slice);
            done += slice.len() as u64;
        }
    }

    /// Reads a few bytes that lie in one page; zeroes if they are not there.
    pub fn read<const N: usize>(&self, place: Place) -> [u8; N] {
        let mut data = [0; N];
        if let Some(slice) = self.slice(place, N as u64, false) {
            slice.copy_to(&mut data[..]);
        }
        data
    }

    /// Writes a few bytes.
    pub fn write(&self, place: Place, data: &[u8]) {
        self.pieces(place, data.len() as u64, |at, slice| {
            slice.copy_from(&data[at as usize..]);
        });
    }

    /// Stores eight bytes at once, at a multiple of eight, after all that was written before.
    pub fn store(&self, place: Place, value: u64) {
        if let Some(slice) = self.slice(place, 8, true) {
            // It fails in a mapping that begins within a word: a guest's memory has no such.
            let _ = slice.store(value.to_le(), 0, Ordering::SeqCst);
        }
    }

    /// Carries out a transfer.
    pub fn carry_out(&self, transfer: &Transfer) {
        match *transfer {
            Transfer::Copy { src, dst, len } => self.copy(src, dst, len),
            Transfer::Fill { word: 0, dst, len } => self.zero(dst, len),
            Transfer::Fill { word, dst, len } => {
                let words = (len as usize).min(PATTERN_LEN).div_ceil(4);
                self.repeat(&word.to_le_bytes().repeat(words), dst, len);
            }
        }
    }

    /// Copies holes as holes, so that moving memory that was never used allocates none.
    fn copy(&self, src: Place, dst: Place, len: u64) {
        let mut done = 0;
        while done < len {
            let part = match src.plus(done) {
                Place::Vram(offset) => self.vram.part(offset, len - done),
                Place::Bus(_) => Part::Data(len - done),
            };
            done += match part {
                Part::Hole(bytes) => {
                    self.zero(dst.plus(done), bytes);
                    bytes
                }
                Part::Data(bytes) => {
                    self.copy_data(src.plus(done), dst.plus(done), bytes);
                    bytes
                }
            };
        }
    }

    fn copy_data(&self, src: Place, dst: Place, len: u64) {
        let mut done = 0;
        while done < len {
            let Some(to) = self.slice(dst.plus(done), len - done, true) else {
                return;
            };
            let Some(from) = self.slice(src.plus(done), to.len() as u64, false) else {
                return;
            };
            from.copy_to_volatile_slice(to);
            done += from.len() as u64;
        }
    }

    /// Zeroes a range; holes stay.
    fn zero(&self, dst: Place, len: u64) {
        let mut done = 0;
        while done < len {
            let part = match dst.plus(done) {
                Place::Vram(offset) => self.vram.part(offset, len - done),
                Place::Bus(_) => Part::Data(len - done),
            };
            done += match part {
                Part::Hole(bytes) => bytes,
                Part::Data(bytes) => {
                    self.repeat(&ZEROES, dst.plus(done), bytes);
                    bytes
                }
            };
        }
    }

    /// Writes `pattern` over and over.
    fn repeat(&self, pattern: &[u8], dst: Place, len: u64) {
        self.pieces(dst, len, |at, slice| {
            let mut done = 0;
            while let Some(left) = slice.offset(done).ok().filter(|left| !left.is_empty()) {
                let phase = (at as usize + done) % pattern.len();
                left.copy_from(&pattern[phase..]);
                done += left.len().min(pattern.len() - phase);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// 4 MiB of VRAM under an open aperture of 1 MiB, and 2 MiB of guest memory in two mappings.
    fn memory() -> (Memory, File) {
        let vram = Vram::new(4 * MIB, MIB).unwrap();
        vram.set_open(true).unwrap();
        let memory = Memory::new(vram);
        let ram = tempfile::tempfile().unwrap();
        ram.set_len(2 * MIB).unwrap();
        for offset in [0, MIB] {
            let file = Some((ram.try_clone().unwrap(), offset));
            memory.dma_mut().map(offset, MIB, true, file).unwrap();
        }
        (memory, ram)
    }

    fn bytes(seed: usize, len: u64) -> Vec<u8> {
        (0..len as usize)
            .map(|i| (i * 7 + i / 251 + seed) as u8)
            .collect()
    }

    #[test]
    fn copies_between_all_places() {
        let (memory, ram) = memory();
        let access = memory.access();
        // Across the aperture's end and the end of a mapping, each at another offset.
        let len = MIB + 12;
        let table = [
            (Place::Vram(MIB - 8), Place::Bus(100)),
            (Place::Bus(400), Place::Vram(16)),
            (Place::Vram(4), Place::Vram(2 * MIB + 40)),
            (Place::Bus(0), Place::Bus(MIB - 20)),
        ];
        for (seed, (src, dst)) in table.into_iter().enumerate() {
            let data = bytes(seed, len);
            access.write(src, &data);
            let len = if dst == Place::Bus(MIB - 20) {
                MIB - 20
            } else {
                len
            };
            access.carry_out(&Transfer::Copy { src, dst, len });
            let mut copied = vec![0; len as usize];
            match dst {
                Place::Bus(at) => ram.read_exact_at(&mut copied, at).unwrap(),
                Place::Vram(at) => memory.vram.read(at, &mut copied).unwrap(),
            }
            assert!(copied == data[..len as usize], "{src:?} to {dst:?}");
        }
    }

    #[test]
    fn fills_keep_their_phase() {
        let (memory, ram) = memory();
        let access = memory.access();
        let word = 0x0403_0201_u32;
        let pattern = word.to_le_bytes();
        for dst in [Place::Vram(MIB - 4096 - 6), Place::Bus(MIB - 70_002)] {
            let len = 140_004;
            access.carry_out(&Transfer::Fill { word, dst, len });
            let mut filled = vec![0; len as usize + 2];
            match dst {
                Place::Bus(at) => ram.read_exact_at(&mut filled, at - 1).unwrap(),
                Place::Vram(at) => memory.vram.read(at - 1, &mut filled).unwrap(),
            }
            let inner = &filled[1..=len as usize];
            assert!(inner.chunks_exact(4).all(|four| four == pattern), "{dst:?}");
            assert_eq!((filled[0], filled[len as usize + 1]), (0, 0), "{dst:?}");
        }
    }

    #[test]
    fn holes_are_neither_made_nor_filled() {
        let (memory, ram) = memory();
        let access = memory.access();
        // Data of a grain, which is what holes are told from.
        access.write(Place::Vram(MIB), &vec![1; 256 << 10]);
        let held = || -> Vec<_> {
            let ranges = memory.vram.data(0, 4 * MIB).unwrap();
            ranges
                .into_iter()
                .map(|range| (range.start, range.end))
                .collect()
        };
        let data = vec![(MIB, MIB + (256 << 10))];
        assert_eq!(held(), data);
        let fill = Transfer::Fill {
            word: 0,
            dst: Place::Vram(0),
            len: 4 * MIB,
        };
        access.carry_out(&fill);
        assert_eq!(held(), data);
        let copy = Transfer::Copy {
            src: Place::Vram(2 * MIB),
            dst: Place::Vram(0),
            len: 2 * MIB,
        };
        access.write(Place::Vram(MIB), &[1; 4096]);
        access.carry_out(&copy);
        assert_eq!(held(), data);
        assert_eq!(access.read::<4>(Place::Vram(MIB)), [0; 4]);

        ram.write_all_at(&[1; 8192], 0).unwrap();
        access.carry_out(&Transfer::Copy {
            src: Place::Vram(2 * MIB),
            dst: Place::Bus(4096),
            len: 4096,
        });
        let mut zeroed = [9; 4097];
        ram.read_exact_at(&mut zeroed, 4095).unwrap();
        assert_eq!(zeroed[0], 1);
        assert_eq!(zeroed[1..], [0; 4096]);
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        let (memory, _ram) = memory();
        let access = memory.access();
        assert_eq!(access.reach(Place::Vram(4 * MIB - 1), 10, true), 1);
        assert_eq!(access.reach(Place::Vram(u64::MAX), 10, true), 0);
        assert_eq!(access.reach(Place::Bus(2 * MIB - 1), 10, true), 1);
        assert_eq!(access.read::<4>(Place::Bus(u64::MAX)), [0; 4]);
        access.store(Place::Bus(2 * MIB), 1);
        access.write(Place::Vram(4 * MIB - 1), &[1; 2]);
        for src in [Place::Vram(0), Place::Bus(0)] {
            for dst in [Place::Vram(3 * MIB), Place::Bus(MIB)] {
                let len = 4 * MIB;
                access.carry_out(&Transfer::Copy { src, dst, len });
                access.carry_out(&Transfer::Fill { word: 1, dst, len });
                access.carry_out(&Transfer::Fill { word: 0, dst, len });
            }
        }
    }

    #[test]
    fn stores_are_whole() {
        let (memory, ram) = memory();
        memory.access().store(Place::Bus(16), 0x0102_0304_0506_0708);
        let mut data = [0; 8];
        ram.read_exact_at(&mut data, 16).unwrap();
        assert_eq!(data, [8, 7, 6, 5, 4, 3, 2, 1]);
    }
}
