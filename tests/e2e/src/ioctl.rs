// SPDX-License-Identifier: GPL-2.0

//! Tests of the ioctls, one by one, and of who may call them.

mod clients;
mod compat;
mod gem_create;
mod gem_info;
mod gem_mmap;
mod gem_move;
mod gem_set_label;
mod gem_wait;
mod nodes;
mod query;
mod unprivileged;

use libtest_mimic::Trial;

pub fn tests() -> Vec<Trial> {
    [
        nodes::tests(),
        query::tests(),
        gem_create::tests(),
        gem_info::tests(),
        gem_mmap::tests(),
        gem_wait::tests(),
        gem_move::tests(),
        gem_set_label::tests(),
        clients::tests(),
        compat::tests(),
        unprivileged::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
