// SPDX-License-Identifier: GPL-2.0

//! An ioctl with its argument, right or wrong.

use std::slice;

use pddgpu_e2e::support::random::Random;

use super::{number, one_in, Thread};

/// Bytes that an argument can have.
const MAX_SIZE: usize = 512;

/// The bit of an ioctl's number that says that the kernel reads the argument.
pub const WRITE: u64 = 1;
/// The bit of an ioctl's number that says that the kernel writes the argument.
pub const READ: u64 = 2;

/// The type of DRM's ioctls.
pub const DRM: u8 = b'd';

/// An ioctl.
#[derive(Clone, Copy)]
pub struct Request {
    /// The letter of those that belong together.
    pub group: u8,
    /// Its number among them.
    pub number: u8,
    /// [`READ`] and [`WRITE`].
    pub direction: u64,
    /// Bytes of its argument.
    pub size: usize,
}

impl Request {
    /// One of DRM's.
    pub const fn drm(number: u8, direction: u64, size: usize) -> Self {
        Self {
            group: DRM,
            number,
            direction,
            size,
        }
    }

    /// The word of the argument whose lower half is a number of syncobjs. The DRM core of Linux 7.3
    /// allocates memory for as many as it is told, and the kernel warns of more than it can have.
    fn syncobj_count(self) -> Option<usize> {
        match (self.group, self.number) {
            (DRM, 0xc4 | 0xc5) => Some(1),
            (DRM, 0xc3 | 0xcb | 0xcd) => Some(2),
            (DRM, 0xca) => Some(3),
            _ => None,
        }
    }

    fn encode(self) -> u64 {
        (self.direction << 30)
            | ((self.size as u64 & 0x3fff) << 16)
            | (u64::from(self.group) << 8)
            | u64::from(self.number)
    }

    /// Gives it another size, or another direction: the kernel finds it by its number.
    fn distort(&mut self, random: &mut Random) {
        match random.below(8) {
            0 => self.size = 0,
            1 => self.size = self.size.saturating_sub(random.below(9)),
            2 => self.size += random.below(17),
            3 => self.size = self.size.next_power_of_two() * 2,
            4 => self.size = 0x3fff,
            5 => self.size = random.below(0x4000),
            _ => self.direction = random.below(4) as u64,
        }
    }
}

/// Where the kernel is told that the argument is.
enum Place {
    Scratch,
    /// Its end cannot be accessed.
    AtTheEnd,
    Nowhere(usize),
    /// In a mapping of a buffer.
    Buffer,
}

fn place(random: &mut Random) -> Place {
    match random.below(64) {
        0 => Place::Nowhere(0),
        1 => Place::Nowhere(8),
        2 => Place::Nowhere(0xffff_8000_0000_0000),
        3 => Place::Nowhere(usize::MAX - 7),
        4 | 5 => Place::AtTheEnd,
        6 | 7 => Place::Buffer,
        _ => Place::Scratch,
    }
}

/// Makes the ioctl on a file. `fill` writes its argument, of which a byte may be changed. Returns
/// the argument as the kernel left it if the call succeeded as it was meant.
pub fn make(
    thread: &Thread<'_>,
    random: &mut Random,
    file: i32,
    request: Request,
    fill: impl FnOnce(&mut Random, &mut [u64]),
) -> Option<[u64; 8]> {
    let mut words = [0_u64; MAX_SIZE / 8];
    fill(random, &mut words);
    let mut sent = request;
    let mut right = true;
    if one_in(random, 16) {
        sent.distort(random);
        right = false;
    }
    if one_in(random, 16) && request.size > 0 {
        let byte = random.below(request.size);
        words[byte / 8] ^= (1 + random.below(255) as u64) << (8 * (byte % 8));
    }
    if one_in(random, 64) && request.size > 0 {
        words[random.below(request.size.div_ceil(8))] = number(random);
    }

    let place = match sent.syncobj_count() {
        Some(word) => {
            words[word] &= !0xffff_f000;
            Place::Scratch
        }
        None => place(random),
    };
    let scratch = thread.table.scratch(thread.number);
    let address = match place {
        Place::Scratch => scratch,
        Place::AtTheEnd => thread.table.scratch_end() - random.below(request.size + 8) / 8 * 8,
        Place::Nowhere(address) => address,
        Place::Buffer => thread.table.place(random).0,
    };
    if address == scratch {
        // SAFETY: The part of the scratch memory is this thread's own and has more bytes.
        let memory = unsafe { slice::from_raw_parts_mut(scratch as *mut u64, words.len()) };
        memory.copy_from_slice(&words);
    } else {
        right = false;
    }
    let result = if address == scratch && one_in(random, 8) {
        thread.calls.ioctl_32(file, sent.encode(), address)
    } else {
        thread.calls.ioctl(file, sent.encode(), address)
    };
    if result < 0 || !right {
        return None;
    }
    let mut left = [0; 8];
    // SAFETY: As above.
    left.copy_from_slice(unsafe { slice::from_raw_parts(scratch as *const u64, 8) });
    Some(left)
}
