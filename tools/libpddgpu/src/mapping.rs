// SPDX-License-Identifier: GPL-2.0

//! Buffers in this process's address space.

use std::{
    os::fd::BorrowedFd,
    ptr::{self, NonNull},
};

use rustix::mm::{mmap, munmap, MapFlags, ProtFlags};

use crate::error::{Error, Result};

/// Bytes that one access copies where the address is aligned.
const WORD: usize = size_of::<u64>();

/// A buffer in this process's address space.
///
/// The card and other processes may change the bytes at any time. For this reason there are no
/// references to them: they are copied in and out by volatile accesses, eight bytes at a time where
/// the address is aligned. Ranges outside the buffer panic, as they do with slices.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: All threads of a process share its mappings, so any of them may use and unmap this one.
unsafe impl Send for Mapping {}

impl Mapping {
    pub(crate) fn new(fd: BorrowedFd<'_>, offset: u64, len: usize) -> Result<Self> {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: Without a wanted address the kernel chooses one at which nothing is mapped yet.
        let start = unsafe { mmap(ptr::null_mut(), len, prot, MapFlags::SHARED, fd, offset) }
            .map_err(Error::from_call("mmap"))?;
        let start = NonNull::new(start.cast()).expect("mmap() gives no null address");
        Ok(Self { start, len })
    }

    /// Bytes.
    #[allow(clippy::len_without_is_empty)] // The driver creates no empty buffers.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The address of the first byte.
    pub fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Copies bytes out, from `offset` on.
    pub fn read(&self, offset: usize, out: &mut [u8]) {
        let (start, head) = self.range(offset, out.len());
        let (head, rest) = out.split_at_mut(head);
        let (words, tail) = rest.split_at_mut(rest.len() / WORD * WORD);
        let tail_start = start.wrapping_add(head.len() + words.len());
        // SAFETY: `range` has checked that the bytes are in the mapping, and chose the length of
        // `head` so that the words behind it are aligned.
        unsafe {
            read_bytes(start, head);
            let from = start.add(head.len()).cast::<u64>();
            for (index, word) in words.chunks_exact_mut(WORD).enumerate() {
                word.copy_from_slice(&from.add(index).read_volatile().to_ne_bytes());
            }
            read_bytes(tail_start, tail);
        }
    }

    /// Copies bytes in, from `offset` on.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        let (start, head) = self.range(offset, bytes.len());
        let (head, rest) = bytes.split_at(head);
        let words = rest.chunks_exact(WORD);
        let tail = words.remainder();
        let tail_start = start.wrapping_add(bytes.len() - tail.len());
        // SAFETY: `range` has checked that the bytes are in the mapping, and chose the length of
        // `head` so that the words behind it are aligned.
        unsafe {
            write_bytes(start, head);
            let to = start.add(head.len()).cast::<u64>();
            for (index, word) in words.enumerate() {
                let word = word.try_into().expect("a chunk is a word");
                to.add(index).write_volatile(u64::from_ne_bytes(word));
            }
            write_bytes(tail_start, tail);
        }
    }

    /// Copies the whole buffer out.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len];
        self.read(0, &mut bytes);
        bytes
    }

    /// Where `len` bytes at `offset` begin, and how many of them come before the first whole word.
    fn range(&self, offset: usize, len: usize) -> (*mut u8, usize) {
        let end = offset.checked_add(len).filter(|&end| end <= self.len);
        if end.is_none() {
            panic!(
                "{len} bytes at {offset} are not in a mapping of {} bytes",
                self.len
            );
        }
        // The mapping begins with a page, so that aligned offsets are aligned addresses.
        let head = (offset.next_multiple_of(WORD) - offset).min(len);
        (self.start.as_ptr().wrapping_add(offset), head)
    }
}

/// Copies bytes out, one by one.
///
/// # Safety
///
/// As many bytes as `out` has must be mapped at `from`.
unsafe fn read_bytes(from: *const u8, out: &mut [u8]) {
    for (index, byte) in out.iter_mut().enumerate() {
        // SAFETY: The index is below the number of bytes that are mapped at `from`.
        *byte = unsafe { from.add(index).read_volatile() };
    }
}

/// Copies bytes in, one by one.
///
/// # Safety
///
/// As many bytes as `bytes` has must be mapped at `to`.
unsafe fn write_bytes(to: *mut u8, bytes: &[u8]) {
    for (index, byte) in bytes.iter().enumerate() {
        // SAFETY: The index is below the number of bytes that are mapped at `to`.
        unsafe { to.add(index).write_volatile(*byte) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: The range was mapped by `new`, and nothing borrows it any more.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsFd};

    use rustix::fs::{memfd_create, MemfdFlags};

    use super::*;

    fn mapping(len: u64) -> Mapping {
        let file = File::from(memfd_create("mapping", MemfdFlags::CLOEXEC).unwrap());
        file.set_len(len).unwrap();
        Mapping::new(file.as_fd(), 0, len as usize).unwrap()
    }

    #[test]
    fn bytes_come_back_at_any_offset_and_length() {
        let mut map = mapping(4096);
        let mut expected = vec![0; 4096];
        for (offset, len) in [
            (0, 4096),
            (1, 30),
            (8, 8),
            (7, 2),
            (4093, 3),
            (64, 0),
            (13, 100),
        ] {
            let bytes: Vec<u8> = (0..len).map(|i| (i * 7 + offset) as u8).collect();
            map.write(offset, &bytes);
            expected[offset..offset + len].copy_from_slice(&bytes);
            let mut back = vec![0; len];
            map.read(offset, &mut back);
            assert_eq!(back, bytes);
        }
        assert_eq!(map.to_vec(), expected);
    }

    #[test]
    #[should_panic(expected = "8 bytes at 4089 are not in a mapping of 4096 bytes")]
    fn reading_past_the_end_panics() {
        mapping(4096).read(4089, &mut [0; 8]);
    }

    #[test]
    #[should_panic(expected = "1 bytes at 4096")]
    fn writing_past_the_end_panics() {
        mapping(4096).write(4096, &[1]);
    }
}
