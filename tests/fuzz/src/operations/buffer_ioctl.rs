// SPDX-License-Identifier: GPL-2.0

//! The driver's own ioctls. A new one gets a row in [`KINDS`] and a function.

use pddgpu_e2e::support::random::Random;

use super::{
    number, one_in,
    request::{make, Request, READ, WRITE},
    Kind, Thread,
};

/// The first number of a driver's ioctls.
const DRIVER: u8 = 0x40;

/// One of the driver's ioctls.
pub const fn request(number: u8, direction: u64, size: usize) -> Request {
    Request::drm(DRIVER + number, direction, size)
}

const GEM_CREATE: Request = request(0, READ | WRITE, 32);
const GEM_MMAP: Request = request(1, READ | WRITE, 16);
const GEM_INFO: Request = request(2, READ | WRITE, 72);
const GEM_WAIT: Request = request(3, WRITE, 16);
const GEM_SET_LABEL: Request = request(12, WRITE, 16);
const QUERY: Request = request(5, READ | WRITE, 16);

pub const KINDS: &[Kind] = &[
    Kind::new("gem_create", 24, gem_create),
    Kind::new("gem_map", 16, gem_map),
    Kind::cheap("gem_info", 6, gem_info),
    Kind::cheap("gem_wait", 6, gem_wait),
    Kind::cheap("gem_set_label", 2, gem_set_label),
    Kind::cheap("query", 6, query),
];

const CPU: u64 = 1;

/// Bytes of the largest buffer in system memory: the machine must not run out of it.
const CPU_SIZE: u64 = 4 << 20;

fn size(random: &mut Random) -> u64 {
    match random.below(64) {
        0 => 0,
        1 => number(random),
        2 => (1 << 30) + number(random) % 8192,
        3 => 16 << 20,
        4..=7 => 1 + random.below(4 << 20) as u64,
        8..=15 => 2 << 20,
        16..=31 => 1 + random.below(1 << 18) as u64,
        _ => 4096 * (1 + random.below(16) as u64),
    }
}

fn alignment(random: &mut Random) -> u64 {
    match random.below(16) {
        0 => number(random),
        1 => 2 << 20,
        2..=5 => 1 << random.below(21),
        _ => 0,
    }
}

fn flags(random: &mut Random) -> u64 {
    match random.below(16) {
        0 => random.next_u64() >> 32,
        1 => 1 << random.below(32),
        2 => 3,
        3..=5 => 1,
        6 => 2,
        7 => 1 << 4,
        8 => 1 << 7,
        _ => 0,
    }
}

fn gem_create(thread: &Thread<'_>, random: &mut Random) {
    let (slot, card) = thread.table.card(random);
    let made = make(thread, random, card, GEM_CREATE, |random, words| {
        let domain = match random.below(32) {
            0 => random.next_u64() >> 32,
            1 => 0,
            _ => 1 + random.below(7) as u64,
        };
        let size = size(random);
        words[0] = match domain & CPU {
            CPU if size <= 1 << 30 => size.min(CPU_SIZE),
            _ => size,
        };
        words[1] = alignment(random);
        words[2] = domain | (flags(random) << 32);
    });
    if let Some(made) = made {
        let (card, before) = thread.table.put_handle(random, slot, made[3] as u32);
        // Now and then a handle is forgotten, so that it goes with its file.
        if !one_in(random, 8) {
            super::drm_ioctl::close(thread, card, before);
        }
    }
}

fn gem_map(thread: &Thread<'_>, random: &mut Random) {
    let (card, handle) = thread.table.handle(random);
    let made = make(thread, random, card, GEM_MMAP, |_, words| {
        words[0] = handle.into();
    });
    if let Some(made) = made {
        let info = make(thread, random, card, GEM_INFO, |_, words| {
            words[0] = handle.into();
        });
        let len = info.map_or(4096, |info| info[1] as usize);
        super::mapping::map(thread, random, card, made[1] as usize, len);
    }
}

fn gem_info(thread: &Thread<'_>, random: &mut Random) {
    let (card, handle) = thread.table.handle(random);
    make(thread, random, card, GEM_INFO, |_, words| {
        words[0] = handle.into();
    });
}

/// Nanoseconds since boot.
pub fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: The structure is there to be written.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn gem_wait(thread: &Thread<'_>, random: &mut Random) {
    let (card, handle) = thread.table.handle(random);
    make(thread, random, card, GEM_WAIT, |random, words| {
        words[0] = handle.into();
        words[1] = match random.below(8) {
            0 => number(random),
            1 => i64::MAX as u64,
            2..=4 => 0,
            _ => now() + random.below(20_000_000) as u64,
        };
    });
}

fn gem_set_label(thread: &Thread<'_>, random: &mut Random) {
    let (card, handle) = thread.table.handle(random);
    make(thread, random, card, GEM_SET_LABEL, |random, words| {
        words[0] = handle.into();
        words[1] = match random.below(4) {
            0 => 0,
            1 => 0xffff_8000_0000_0000,
            2 => thread.table.scratch_end() as u64 - 8,
            _ => thread.table.scratch(thread.number) as u64,
        };
    });
}

/// Bytes for the answer of a query.
const ANSWER: usize = 8192;

fn query(thread: &Thread<'_>, random: &mut Random) {
    let (_, card) = thread.table.card(random);
    // Behind the argument.
    let answer = thread.table.scratch(thread.number) + 4096;
    make(thread, random, card, QUERY, |random, words| {
        let kind = random.below(8) as u64;
        let size = match random.below(8) {
            0 => 0,
            // More than there is room for has to go nowhere, or it would be other threads'.
            1 => number(random) % ANSWER as u64,
            _ => ANSWER as u64,
        };
        words[0] = kind | (size << 32);
        words[1] = match random.below(16) {
            0 => 0,
            1 => 0xffff_8000_0000_0000,
            2 => thread.table.scratch_end() as u64 - 64,
            3 => thread.table.place(random).0 as u64,
            _ => answer as u64,
        };
    });
}
