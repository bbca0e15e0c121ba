// SPDX-License-Identifier: GPL-2.0

//! Tests of what is in the buffers, wherever they are and go.

mod access;
mod cgroup;
mod clean_memory;
mod content;
mod dmem;
mod eviction;
mod fault;
mod foreign;
mod kill;
mod pressure;
mod purgeable;
mod room;
mod swap;

use libtest_mimic::Trial;

pub fn tests() -> Vec<Trial> {
    [
        content::tests(),
        clean_memory::tests(),
        fault::tests(),
        access::tests(),
        dmem::tests(),
        eviction::tests(),
        room::tests(),
        foreign::tests(),
        kill::tests(),
        cgroup::tests(),
        pressure::tests(),
        purgeable::tests(),
        swap::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
