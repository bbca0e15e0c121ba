// SPDX-License-Identifier: GPL-2.0

//! The processes of a round: a program under test, whose threads carry out their operations, and
//! the administrator.

use std::{
    fs,
    sync::atomic::Ordering::{Relaxed, SeqCst},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use anyhow::Result;
use pddgpu_e2e::support::random::Random;

use crate::{
    administrator::{self, Machine},
    calls::Calls,
    operations::{self, Thread},
    plan::Plan,
    shared::{Shared, ADMINISTRATOR, THREADS},
    table::Table,
    touch,
};

/// Goes on with the operations of a program's threads, from where an earlier process was killed.
///
/// # Errors
///
/// If the process cannot be set up.
pub fn run(plan: &Plan, number: usize, shared: &'static Shared, sockets: [i32; 2]) -> Result<()> {
    touch::install()?;
    // If memory runs out, it is not the fuzzer that goes.
    fs::write("/proc/self/oom_score_adj", "1000")?;
    let table = Table::new(sockets)?;
    let kinds = operations::kinds();
    let first = number * THREADS;
    thread::scope(|scope| {
        for (index, stream) in plan.streams[first..first + THREADS].iter().enumerate() {
            let thread = Thread {
                calls: Calls(&shared.calls),
                table: &table,
                number: index,
            };
            let begun = &shared.begun[first + index];
            let kinds = &kinds;
            scope.spawn(move || {
                let mut next = begun.load(Relaxed) as usize;
                while let Some(operation) = stream.get(next) {
                    next += 1;
                    begun.store(next as u64, SeqCst);
                    let mut random = Random::new(operation.seed);
                    let start = Instant::now();
                    let kind = kinds[operation.kind];
                    for _ in 0..1 + random.below(kind.times) {
                        (kind.run)(&thread, &mut random);
                    }
                    let took = start.elapsed().as_nanos() as u64;
                    shared.times[operation.kind].fetch_add(took, Relaxed);
                    shared.counts[operation.kind].fetch_add(1, Relaxed);
                }
            });
        }
    });
    Ok(())
}

/// Carries out the measures of a plan, each when the programs have come as far.
pub fn administer(plan: &Plan, machine: &Machine) {
    let all: usize = plan.streams.iter().map(Vec::len).sum();
    for (number, measure) in plan.measures.iter().enumerate() {
        let due = (number * all / plan.measures.len()) as u64;
        while machine.shared.progress() < due {
            sleep(Duration::from_millis(1));
        }
        machine.shared.begun[ADMINISTRATOR].store(number as u64 + 1, SeqCst);
        let mut random = Random::new(measure.seed);
        (administrator::KINDS[measure.kind].run)(machine, &mut random);
    }
}
