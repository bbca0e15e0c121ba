// SPDX-License-Identifier: GPL-2.0

//! What programs under test do: one file for each part of the kernel's interface.
//!
//! An operation is a kind and a seed, from which everything else about it follows but what the
//! table has at that moment. So the same seeds make the same calls.

pub mod buffer_ioctl;
pub mod drm_ioctl;
pub mod files;
pub mod mapping;
pub mod process;
pub mod request;
pub mod residency_ioctl;
pub mod sharing;
pub mod transfer_ioctl;

use pddgpu_e2e::support::random::Random;

use crate::{calls::Calls, table::Table};

/// A thread of a program under test.
pub struct Thread<'a> {
    /// How it makes its system calls.
    pub calls: Calls<'a>,
    /// What its process has.
    pub table: &'a Table,
    /// Its number in the process.
    pub number: usize,
}

/// A kind of operation.
pub struct Kind {
    /// Its name in lists of operations.
    pub name: &'static str,
    /// How often it is chosen, compared to others.
    pub weight: usize,
    /// How often it is carried out at most, each time in another way.
    pub times: usize,
    /// Carries it out. What it comes to does not matter.
    pub run: fn(&Thread<'_>, &mut Random),
}

impl Kind {
    const fn new(name: &'static str, weight: usize, run: fn(&Thread<'_>, &mut Random)) -> Self {
        Self {
            name,
            weight,
            times: 1,
            run,
        }
    }

    /// One that costs so little that it is carried out several times.
    const fn cheap(name: &'static str, weight: usize, run: fn(&Thread<'_>, &mut Random)) -> Self {
        Self {
            times: 16,
            ..Self::new(name, weight, run)
        }
    }
}

/// All kinds.
pub fn kinds() -> Vec<&'static Kind> {
    let all = [
        buffer_ioctl::KINDS,
        drm_ioctl::KINDS,
        files::KINDS,
        mapping::KINDS,
        process::KINDS,
        residency_ioctl::KINDS,
        sharing::KINDS,
        transfer_ioctl::KINDS,
    ];
    all.into_iter().flatten().collect()
}

/// Whether one of `count` things happens.
pub fn one_in(random: &mut Random, count: usize) -> bool {
    random.below(count) == 0
}

/// A number as programs have it by mistake or on purpose.
pub fn number(random: &mut Random) -> u64 {
    match random.below(8) {
        0 => 0,
        1 => random.below(16) as u64,
        2 => u64::MAX - random.below(4096) as u64,
        3 => (1 << random.below(64)) - 1,
        4 => 1 << random.below(64),
        5 => (1_u64 << random.below(64)).wrapping_add(random.below(8192) as u64),
        6 => random.next_u64() >> random.below(64),
        _ => random.next_u64(),
    }
}
