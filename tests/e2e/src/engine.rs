// SPDX-License-Identifier: GPL-2.0

//! Tests of the copy engine.

mod copies;
mod faults;
mod interrupts;
mod load;
mod pipelining;
mod transfer_order;
mod transfers;

use libtest_mimic::Trial;

pub fn tests() -> Vec<Trial> {
    [
        copies::tests(),
        pipelining::tests(),
        faults::tests(),
        interrupts::tests(),
        load::tests(),
        transfers::tests(),
        transfer_order::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
