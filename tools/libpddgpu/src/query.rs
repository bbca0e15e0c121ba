// SPDX-License-Identifier: GPL-2.0

//! Reads answers of `DRM_IOCTL_PDDGPU_QUERY`.
//!
//! The driver's structures only ever grow at their ends. A driver that is older than this library
//! writes less of a structure than the library knows: the rest reads as zero. A newer driver
//! writes more, or has longer entries in a list: the rest is ignored.

use std::mem::offset_of;

use zerocopy::{FromBytes, IntoBytes};

use crate::{
    error::{Error, Result},
    raw,
};

/// How often to ask again for a list that has more entries each time.
const TRIES: u32 = 10;

/// Fields lie at multiples of this many bytes, or two of them share as many. The length of every
/// structure is such a multiple.
const WORD: usize = size_of::<u64>();

/// Something to ask the driver for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query {
    /// One of `DRM_PDDGPU_QUERY_*`.
    pub(crate) number: u32,
    /// The name that error messages give it.
    pub(crate) name: &'static str,
}

/// The fields that all structures with a list begin with. The entries follow.
#[derive(Clone, Copy, FromBytes)]
#[repr(C)]
struct ListHead {
    /// How many entries follow.
    count: u32,
    /// Bytes from one entry to the next.
    entry_size: u32,
}

const _: () = {
    use raw::{
        drm_pddgpu_query_budget as budgets, drm_pddgpu_query_heaps as heaps,
        drm_pddgpu_query_leaks as leaks, drm_pddgpu_query_owners as owners,
    };

    assert!(offset_of!(heaps, num_heaps) == offset_of!(ListHead, count));
    assert!(offset_of!(heaps, heap_size) == offset_of!(ListHead, entry_size));
    assert!(offset_of!(heaps, heaps) == size_of::<ListHead>());
    assert!(offset_of!(budgets, num_heaps) == offset_of!(ListHead, count));
    assert!(offset_of!(budgets, heap_size) == offset_of!(ListHead, entry_size));
    assert!(offset_of!(budgets, heaps) == size_of::<ListHead>());
    assert!(offset_of!(leaks, num_leaks) == offset_of!(ListHead, count));
    assert!(offset_of!(leaks, leak_size) == offset_of!(ListHead, entry_size));
    assert!(offset_of!(leaks, leaks) == size_of::<ListHead>());
    assert!(offset_of!(owners, num_owners) == offset_of!(ListHead, count));
    assert!(offset_of!(owners, owner_size) == offset_of!(ListHead, entry_size));
    assert!(offset_of!(owners, owners) == size_of::<ListHead>());
};

impl ListHead {
    /// Bytes that all entries take up. `None` if there cannot be as many.
    fn entries_len(self) -> Option<usize> {
        (self.count as usize).checked_mul(self.entry_size as usize)
    }

    /// Bytes that the whole list takes up, this head included. `None` if there cannot be as many.
    fn list_len(self) -> Option<usize> {
        self.entries_len()?.checked_add(size_of::<Self>())
    }
}

/// Reads an answer that is one structure.
///
/// `ask` has the driver write as much of its answer as fits, and gives the number of bytes that it
/// wrote.
pub(crate) fn read_structure<T: FromBytes + IntoBytes>(
    query: Query,
    ask: impl FnOnce(&mut [u8]) -> Result<usize>,
) -> Result<T> {
    let mut structure = T::new_zeroed();
    let written = ask(structure.as_mut_bytes())?;
    if written % WORD != 0 {
        return Err(query.unexpected("the answer ends within a field"));
    }
    structure
        .as_mut_bytes()
        .get_mut(written..)
        .ok_or_else(|| query.unexpected("the answer is longer than there was room for"))?
        .fill(0);
    Ok(structure)
}

/// Reads an answer that is a list.
///
/// `ask` has the driver write as much of its answer as fits, and gives the number of bytes that it
/// wrote. When there is no room at all, it gives the number of bytes that the whole list takes up.
/// The list may have grown between one call and the next.
pub(crate) fn read_list<T: FromBytes + IntoBytes>(
    query: Query,
    mut ask: impl FnMut(&mut [u8]) -> Result<usize>,
) -> Result<Vec<T>> {
    let mut room = ask(&mut [])?;
    for _ in 0..TRIES {
        // The ABI's size has 32 bits. No memory is wasted on what the driver could not fill.
        if u32::try_from(room).is_err() {
            break;
        }
        let mut answer = vec![0; room];
        let written = ask(&mut answer)?;
        let (head, entries) = answer
            .get(..written)
            .and_then(|answer| ListHead::read_from_prefix(answer).ok())
            .ok_or_else(|| query.unexpected("the answer does not begin as a list does"))?;
        if head.entries_len().is_some_and(|len| len <= entries.len()) {
            return decode_entries(head, entries)
                .ok_or_else(|| query.unexpected("the entries are of no whole fields"));
        }
        // As many more than there are as came since the last call. A list that keeps growing at
        // that rate is caught up with.
        let wanted = head.list_len().unwrap_or(usize::MAX);
        room = wanted.saturating_mul(2).saturating_sub(room);
    }
    Err(query.unexpected("the list grows faster than it can be read"))
}

/// Makes structures of the entries of a list. `None` if the entries end within fields, or if there
/// are fewer than the head says.
fn decode_entries<T: FromBytes + IntoBytes>(head: ListHead, bytes: &[u8]) -> Option<Vec<T>> {
    let entry_size = head.entry_size as usize;
    if entry_size % WORD != 0 {
        return None;
    }
    let bytes = bytes.get(..head.entries_len()?)?;
    // Entries without a single byte say nothing. None of them is returned, however many there are.
    let entries = bytes.chunks_exact(entry_size.max(1));
    Some(entries.map(decode_structure).collect())
}

/// Makes a structure of bytes. Fields that are not in them are zero, and bytes that are in no field
/// are ignored.
fn decode_structure<T: FromBytes + IntoBytes>(bytes: &[u8]) -> T {
    let mut structure = T::new_zeroed();
    let fields = structure.as_mut_bytes();
    let known = fields.len().min(bytes.len());
    fields[..known].copy_from_slice(&bytes[..known]);
    structure
}

impl Query {
    fn unexpected(self, what: &str) -> Error {
        Error::Unexpected(format!("{}: {what}", self.name))
    }
}

#[cfg(test)]
mod tests;
