// SPDX-License-Identifier: GPL-2.0

//! ioctls about who has how much of VRAM. `query` asks about it.

use pddgpu_e2e::support::random::Random;

use super::{
    buffer_ioctl::request,
    number,
    request::{make, Request, WRITE},
    Kind, Thread,
};

const GEM_SET_PRIORITY: Request = request(9, WRITE, 8);
const RESERVE: Request = request(10, WRITE, 16);
const SUBSCRIBE: Request = request(11, WRITE, 16);

pub const KINDS: &[Kind] = &[
    Kind::cheap("gem_set_priority", 4, gem_set_priority),
    Kind::cheap("reserve", 4, reserve),
    Kind::cheap("subscribe", 4, subscribe),
];

fn gem_set_priority(thread: &Thread<'_>, random: &mut Random) {
    let (card, handle) = thread.table.handle(random);
    make(thread, random, card, GEM_SET_PRIORITY, |random, words| {
        let priority = match random.below(16) {
            0 => number(random) as u32,
            // -1, 0 and 1.
            _ => (random.below(3) as u32).wrapping_sub(1),
        };
        words[0] = u64::from(handle) | (u64::from(priority) << 32);
    });
}

fn reserve(thread: &Thread<'_>, random: &mut Random) {
    let (_, card) = thread.table.card(random);
    make(thread, random, card, RESERVE, |random, words| {
        words[0] = match random.below(16) {
            0 => number(random),
            _ => 4,
        };
        words[1] = match random.below(8) {
            0 => number(random),
            1..=3 => 0,
            _ => random.below(16 << 20) as u64,
        };
    });
}

fn subscribe(thread: &Thread<'_>, random: &mut Random) {
    let (_, card) = thread.table.card(random);
    make(thread, random, card, SUBSCRIBE, |random, words| {
        words[0] = match random.below(16) {
            0 => number(random),
            1 => 0,
            _ => 1 + random.below(63) as u64,
        };
        words[1] = match random.below(4) {
            0 => number(random),
            _ => random.below(1 << 20) as u64,
        };
    });
}
