// SPDX-License-Identifier: GPL-2.0

//! Tests of what every DRM driver offers, so that tools, compositors and other drivers find it here
//! under the names that they know.

mod dumb;
mod fdinfo;
mod mem_info;
mod prime;
mod rust_crate;
mod syncobj;
mod tools;
mod two_cards;

use libtest_mimic::Trial;

pub fn tests() -> Vec<Trial> {
    [
        fdinfo::tests(),
        mem_info::tests(),
        dumb::tests(),
        prime::tests(),
        tools::tests(),
        two_cards::tests(),
        rust_crate::tests(),
        syncobj::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
