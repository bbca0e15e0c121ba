// SPDX-License-Identifier: GPL-2.0

//! End-to-end tests of the driver against the virtual card.
//!
//! This one program runs as root inside the VM, so that one boot serves all tests. It takes the
//! arguments of Rust's own test harness, a filter above all; tests run one after the other, since
//! each checks that nothing of it is left on the card.

mod child;
mod compare;
mod driver;
mod fixture;
mod kmsg;
mod marked;
mod meminfo;
mod prime;
mod random;
mod stats;

mod access;
mod clean_memory;
mod clients;
mod content;
mod ctl;
mod debug_level;
mod debugfs;
mod engine;
mod engine_faults;
mod engine_load;
mod eviction;
mod fail_nth;
mod fault;
mod gem_create;
mod gem_info;
mod gem_mmap;
mod gem_move;
mod gem_wait;
mod leaks;
mod new_id;
mod nodes;
mod odd_cards;
mod pipelining;
mod pressure;
mod query;
mod stats_attribution;
mod stats_load;
mod stats_reports;
mod stats_settings;
mod stats_totals;
mod stats_unbind;
mod swap;
mod top;
mod tracing;
mod unbind;
mod unload;
mod unprivileged;
mod usage_limit;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    if let Some(code) = child::run() {
        return code;
    }

    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let tests = [
        nodes::tests(),
        query::tests(),
        gem_create::tests(),
        gem_info::tests(),
        gem_mmap::tests(),
        gem_wait::tests(),
        gem_move::tests(),
        content::tests(),
        clean_memory::tests(),
        fault::tests(),
        access::tests(),
        engine::tests(),
        pipelining::tests(),
        engine_faults::tests(),
        engine_load::tests(),
        eviction::tests(),
        pressure::tests(),
        swap::tests(),
        clients::tests(),
        debugfs::tests(),
        unprivileged::tests(),
        ctl::tests(),
        top::tests(),
        stats_totals::tests(),
        stats_attribution::tests(),
        stats_reports::tests(),
        stats_settings::tests(),
        stats_load::tests(),
        usage_limit::tests(),
        leaks::tests(),
        stats_unbind::tests(),
        debug_level::tests(),
        tracing::tests(),
        unload::tests(),
        unbind::tests(),
        odd_cards::tests(),
        new_id::tests(),
        fail_nth::tests(),
    ];
    libtest_mimic::run(&arguments, tests.into_iter().flatten().collect()).exit_code()
}
