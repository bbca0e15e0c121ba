// SPDX-License-Identifier: GPL-2.0

//! Tests of cards and drivers that come and go.

mod busy_unbind;
mod fail_nth;
mod function_reset;
mod new_id;
mod odd_cards;
mod sleep;
mod unbind;
mod unload;

use libtest_mimic::Trial;

pub fn tests() -> Vec<Trial> {
    [
        unload::tests(),
        unbind::tests(),
        busy_unbind::tests(),
        odd_cards::tests(),
        new_id::tests(),
        fail_nth::tests(),
        function_reset::tests(),
        sleep::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
