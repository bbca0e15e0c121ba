// SPDX-License-Identifier: GPL-2.0

//! Tests of what the driver reports: statistics, leaks, trace events, debugfs and the tools that read them.

mod attribution;
mod ctl;
mod debug_level;
mod debugfs;
mod docs;
mod large_reports;
mod leaks;
mod load;
mod owners;
mod reports;
mod settings;
mod top;
mod totals;
mod tracing;
mod unbind;
mod usage_limit;

use libtest_mimic::Trial;

pub fn tests() -> Vec<Trial> {
    [
        debugfs::tests(),
        docs::tests(),
        ctl::tests(),
        top::tests(),
        totals::tests(),
        attribution::tests(),
        reports::tests(),
        large_reports::tests(),
        settings::tests(),
        load::tests(),
        usage_limit::tests(),
        leaks::tests(),
        owners::tests(),
        unbind::tests(),
        debug_level::tests(),
        tracing::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
