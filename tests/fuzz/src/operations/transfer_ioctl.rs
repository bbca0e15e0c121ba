// SPDX-License-Identifier: GPL-2.0

//! The driver's ioctls that take syncobjs, and the syncobjs themselves.

use std::slice;

use pddgpu_e2e::support::random::Random;

use super::{
    buffer_ioctl::{now, request},
    number, one_in,
    request::{make, Request, READ, WRITE},
    Kind, Thread,
};

const GEM_MOVE: Request = request(4, WRITE, 24);
const GEM_COPY: Request = request(6, WRITE, 48);
const GEM_FILL: Request = request(7, WRITE, 40);
const GEM_ADVISE: Request = request(8, READ | WRITE, 16);
const SYNCOBJ_CREATE: Request = Request::drm(0xbf, READ | WRITE, 8);
const SYNCOBJ_TIMELINE_WAIT: Request = Request::drm(0xca, READ | WRITE, 48);
const SYNCOBJ_TIMELINE_SIGNAL: Request = Request::drm(0xcd, READ | WRITE, 24);

pub const KINDS: &[Kind] = &[
    Kind::new("gem_move", 16, gem_move),
    Kind::new("gem_copy", 16, gem_copy),
    Kind::new("gem_fill", 10, gem_fill),
    Kind::cheap("gem_advise", 4, gem_advise),
    Kind::new("syncobj_create", 4, syncobj_create),
    Kind::new("syncobj_wait", 4, syncobj_wait),
    Kind::cheap("syncobj_signal", 2, syncobj_signal),
];

/// Handles of syncobjs are small numbers, of which some are nobody's.
const SYNCOBJS: usize = 24;

/// Most entries of a list.
const ENTRIES: usize = 16;

/// Writes some entries behind the argument. Returns where they are and how many.
fn syncs(thread: &Thread<'_>, random: &mut Random) -> [u64; 2] {
    let address = thread.table.scratch(thread.number) + 4096;
    let count = match random.below(4) {
        0 | 1 => return [0; 2],
        2 => 1,
        _ => random.below(ENTRIES),
    };
    // SAFETY: The part of the scratch memory is this thread's own and has more bytes.
    let memory = unsafe { slice::from_raw_parts_mut(address as *mut u64, 2 * ENTRIES) };
    for entry in memory.chunks_exact_mut(2) {
        let flags = match random.below(16) {
            0 => number(random) & 0xffff_ffff,
            1 => 3,
            2..=5 => 1,
            _ => 2,
        };
        entry[0] = random.below(SYNCOBJS) as u64 | (flags << 32);
        entry[1] = match random.below(8) {
            0 => number(random),
            1 | 2 => random.below(64) as u64,
            _ => 0,
        };
    }
    match random.below(32) {
        0 => [8, count as u64],
        1 => [thread.table.scratch_end() as u64 - 16, count as u64],
        2 => [address as u64, number(random) & 0xffff_ffff],
        3 => [thread.table.place(random).0 as u64, count as u64],
        _ => [address as u64, count as u64],
    }
}

/// Bytes from an offset on.
fn span(random: &mut Random) -> [u64; 2] {
    let offset = match random.below(16) {
        0 => number(random),
        1..=3 => 4 * random.below(1 << 18) as u64,
        4..=6 => 4 * random.below(2048) as u64,
        _ => 0,
    };
    let size = match random.below(16) {
        0 => number(random),
        1 => 2 << 20,
        2..=4 => 4 * random.below(1 << 16) as u64,
        _ => 4 * random.below(2048) as u64,
    };
    [offset, size]
}

fn gem_move(thread: &Thread<'_>, random: &mut Random) {
    let (card, handle) = thread.table.handle(random);
    let [syncs, count] = syncs(thread, random);
    make(thread, random, card, GEM_MOVE, |random, words| {
        let domain = match random.below(16) {
            0 => random.next_u64() >> 32,
            _ => 1 << random.below(3),
        };
        words[0] = u64::from(handle) | (domain << 32);
        words[1] = syncs;
        words[2] = count;
    });
}

fn gem_copy(thread: &Thread<'_>, random: &mut Random) {
    let (card, from) = thread.table.handle(random);
    let to = match random.below(4) {
        0 => from,
        _ => thread.table.handle(random).1,
    };
    let [syncs, count] = syncs(thread, random);
    make(thread, random, card, GEM_COPY, |random, words| {
        let ([offset, size], [there, _]) = (span(random), span(random));
        words[0] = u64::from(from) | (u64::from(to) << 32);
        words[1] = offset;
        words[2] = there;
        words[3] = size;
        words[4] = syncs;
        words[5] = count;
    });
}

fn gem_fill(thread: &Thread<'_>, random: &mut Random) {
    let (card, handle) = thread.table.handle(random);
    let [syncs, count] = syncs(thread, random);
    make(thread, random, card, GEM_FILL, |random, words| {
        let [offset, size] = span(random);
        words[0] = u64::from(handle) | (random.next_u64() << 32);
        words[1] = offset;
        words[2] = size;
        words[3] = syncs;
        words[4] = count;
    });
}

fn gem_advise(thread: &Thread<'_>, random: &mut Random) {
    let (card, handle) = thread.table.handle(random);
    make(thread, random, card, GEM_ADVISE, |random, words| {
        let advice = match random.below(16) {
            0 => number(random) & 0xffff_ffff,
            _ => random.below(2) as u64,
        };
        words[0] = u64::from(handle) | (advice << 32);
    });
}

fn syncobj_create(thread: &Thread<'_>, random: &mut Random) {
    let (_, card) = thread.table.card(random);
    make(thread, random, card, SYNCOBJ_CREATE, |random, words| {
        words[0] = u64::from(one_in(random, 4)) << 32;
    });
}

/// Writes handles and points behind the argument. Returns where the two are.
fn points(thread: &Thread<'_>, random: &mut Random) -> [u64; 2] {
    let address = thread.table.scratch(thread.number) + 4096;
    // SAFETY: The part of the scratch memory is this thread's own and has more bytes.
    let memory = unsafe { slice::from_raw_parts_mut(address as *mut u64, 8) };
    for word in memory.iter_mut() {
        *word = random.below(SYNCOBJS) as u64 | ((random.below(SYNCOBJS) as u64) << 32);
    }
    [address as u64, address as u64 + 32]
}

fn syncobj_wait(thread: &Thread<'_>, random: &mut Random) {
    let (_, card) = thread.table.card(random);
    let [handles, points] = points(thread, random);
    make(
        thread,
        random,
        card,
        SYNCOBJ_TIMELINE_WAIT,
        |random, words| {
            words[0] = handles;
            words[1] = points;
            words[2] = now() + random.below(5_000_000) as u64;
            words[3] = random.below(5) as u64 | ((random.below(8) as u64) << 32);
        },
    );
}

fn syncobj_signal(thread: &Thread<'_>, random: &mut Random) {
    let (_, card) = thread.table.card(random);
    let [handles, points] = points(thread, random);
    make(
        thread,
        random,
        card,
        SYNCOBJ_TIMELINE_SIGNAL,
        |random, words| {
            words[0] = handles;
            words[1] = points;
            words[2] = random.below(5) as u64;
        },
    );
}
