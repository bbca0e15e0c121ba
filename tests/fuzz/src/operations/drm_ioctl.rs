// SPDX-License-Identifier: GPL-2.0

//! DRM's ioctls: those that the driver offers, and those that it has to refuse.

use pddgpu_e2e::support::random::Random;

use super::{
    number, one_in,
    request::{make, Request, READ, WRITE},
    Kind, Thread,
};

pub const KINDS: &[Kind] = &[
    Kind::cheap("gem_close", 6, gem_close),
    Kind::cheap("drm_version", 2, drm_version),
    Kind::cheap("drm_any", 6, drm_any),
    Kind::cheap("drm_random", 2, drm_random),
    Kind::new("gem_flink_open", 2, gem_flink_open),
];

const GEM_CLOSE: Request = Request::drm(0x09, WRITE, 8);
const GEM_FLINK: Request = Request::drm(0x0a, READ | WRITE, 8);
const GEM_OPEN: Request = Request::drm(0x0b, READ | WRITE, 16);
const VERSION: Request = Request::drm(0x00, READ | WRITE, 64);

/// The rest, whose arguments are not worth a function each: number, direction and bytes.
const ANY: &[(u8, u64, usize)] = &[
    (0x01, 3, 16),  // GET_UNIQUE
    (0x02, 2, 4),   // GET_MAGIC
    (0x03, 3, 16),  // IRQ_BUSID
    (0x05, 3, 40),  // GET_CLIENT
    (0x06, 2, 248), // GET_STATS
    (0x07, 3, 16),  // SET_VERSION
    (0x0a, 3, 8),   // GEM_FLINK
    (0x0b, 3, 16),  // GEM_OPEN
    (0x0c, 3, 16),  // GET_CAP
    (0x0d, 1, 16),  // SET_CLIENT_CAP
    (0x10, 1, 16),  // SET_UNIQUE
    (0x11, 1, 4),   // AUTH_MAGIC
    (0x1e, 0, 0),   // SET_MASTER
    (0x1f, 0, 0),   // DROP_MASTER
    (0x3a, 3, 24),  // WAIT_VBLANK
    (0xa0, 3, 64),  // MODE_GETRESOURCES
    (0xa1, 3, 104), // MODE_GETCRTC
    (0xa7, 3, 80),  // MODE_GETCONNECTOR
    (0xb2, 3, 32),  // MODE_CREATE_DUMB
    (0xb3, 3, 16),  // MODE_MAP_DUMB
    (0xb4, 3, 4),   // MODE_DESTROY_DUMB
    (0xb5, 3, 16),  // MODE_GETPLANERESOURCES
    (0xb8, 3, 104), // MODE_ADDFB2
    (0xbc, 3, 56),  // MODE_ATOMIC
    (0xbf, 3, 8),   // SYNCOBJ_CREATE
    (0xc0, 3, 8),   // SYNCOBJ_DESTROY
    (0xc1, 3, 24),  // SYNCOBJ_HANDLE_TO_FD
    (0xc2, 3, 24),  // SYNCOBJ_FD_TO_HANDLE
    (0xc4, 3, 16),  // SYNCOBJ_RESET
    (0xc5, 3, 16),  // SYNCOBJ_SIGNAL
    (0xc6, 3, 24),  // MODE_CREATE_LEASE
    (0xcb, 3, 24),  // SYNCOBJ_QUERY
    (0xcc, 3, 32),  // SYNCOBJ_TRANSFER
    (0xcd, 3, 24),  // SYNCOBJ_TIMELINE_SIGNAL
    (0xcf, 3, 24),  // SYNCOBJ_EVENTFD
    (0xd1, 3, 16),  // SET_CLIENT_NAME
    (0xd2, 3, 8),   // GEM_CHANGE_HANDLE
];

/// Closes a handle.
pub fn close(thread: &Thread<'_>, card: i32, handle: u32) {
    let mut argument = [handle, 0];
    thread
        .calls
        .ioctl(card, 0x4008_6409, argument.as_mut_ptr() as usize);
}

fn gem_close(thread: &Thread<'_>, random: &mut Random) {
    let (card, handle) = thread.table.handle(random);
    make(thread, random, card, GEM_CLOSE, |_, words| {
        words[0] = handle.into();
    });
}

fn drm_version(thread: &Thread<'_>, random: &mut Random) {
    let (_, card) = thread.table.card(random);
    let text = thread.table.scratch(thread.number) as u64 + 4096;
    make(thread, random, card, VERSION, |random, words| {
        for pair in [2, 4, 6] {
            words[pair] = random.below(256) as u64;
            words[pair + 1] = if one_in(random, 8) { 8 } else { text };
        }
    });
}

/// Fills an argument with what may mean something to whoever takes it.
fn fill(thread: &Thread<'_>, random: &mut Random, words: &mut [u64]) {
    let handle = u64::from(thread.table.handle(random).1);
    let scratch = thread.table.scratch(thread.number) as u64 + 8192;
    for word in words {
        *word = match random.below(10) {
            0 | 1 => 0,
            2 => random.below(8) as u64,
            3 => handle,
            4 => handle << 32,
            5 => thread.table.file(random) as u32 as u64,
            6 => number(random) % 4096,
            7 => number(random) << 48,
            _ => scratch,
        };
    }
}

fn drm_any(thread: &Thread<'_>, random: &mut Random) {
    let (_, card) = thread.table.card(random);
    let (number, direction, size) = random.pick(ANY);
    let request = Request::drm(number, direction, size);
    make(thread, random, card, request, |random, words| {
        fill(thread, random, &mut words[..size.div_ceil(8)]);
    });
}

fn drm_random(thread: &Thread<'_>, random: &mut Random) {
    let (_, card) = thread.table.card(random);
    let size = random.below(32) * 4;
    let request = Request::drm(random.next_u64() as u8, random.below(4) as u64, size);
    // These wait for longer than anybody has time.
    if matches!(request.number, 0xc3 | 0xca) {
        return;
    }
    make(thread, random, card, request, |random, words| {
        fill(thread, random, &mut words[..size.div_ceil(8)]);
    });
}

fn gem_flink_open(thread: &Thread<'_>, random: &mut Random) {
    let (card, handle) = thread.table.handle(random);
    let named = make(thread, random, card, GEM_FLINK, |_, words| {
        words[0] = handle.into();
    });
    let Some(named) = named else {
        return;
    };
    let (slot, other) = thread.table.card(random);
    let opened = make(thread, random, other, GEM_OPEN, |_, words| {
        words[0] = named[0] >> 32;
    });
    if let Some(opened) = opened {
        let (card, before) = thread
            .table
            .put_handle(random, slot, (opened[0] >> 32) as u32);
        close(thread, card, before);
    }
}
