// SPDX-License-Identifier: GPL-2.0

//! Tests of what is in the buffers, wherever they are and go.

mod access;
mod budget;
mod cgroup;
mod clean_memory;
mod content;
mod dmem;
mod events;
mod eviction;
mod fault;
mod foreign;
mod kill;
mod parts;
mod pressure;
mod purgeable;
mod returning;
mod room;
mod swap;
mod wiping;

use libtest_mimic::Trial;

pub fn tests() -> Vec<Trial> {
    [
        content::tests(),
        clean_memory::tests(),
        fault::tests(),
        access::tests(),
        dmem::tests(),
        eviction::tests(),
        budget::tests(),
        events::tests(),
        returning::tests(),
        room::tests(),
        parts::tests(),
        foreign::tests(),
        kill::tests(),
        cgroup::tests(),
        pressure::tests(),
        purgeable::tests(),
        swap::tests(),
        wiping::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
