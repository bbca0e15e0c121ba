// SPDX-License-Identifier: GPL-2.0

use std::time::Duration;

use anyhow::{ensure, Result};
use libtest_mimic::Trial;
use pddgpu::{raw::drm_pddgpu_gem_wait, Create, Deadline, Domain, Domains};
use rustix::io::Errno;

use crate::support::fixture::{trials, Bench};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        finds_idle_buffers_idle,
        finds_moved_buffers_idle_in_time,
        rejects_padding,
        rejects_unknown_handles,
    )
}

/// Whatever the deadline: even one in the past asks, and an idle buffer is idle.
fn finds_idle_buffers_idle(bench: &Bench) -> Result<()> {
    for domain in Domain::ALL {
        let buffer = bench.card.create(Create::new(4096, domain.into()))?;
        ensure!(
            buffer.wait(Deadline::NEVER)?,
            "{domain}: not idle at the end of time"
        );
        for timeout_ns in [
            i64::MIN,
            -1,
            0,
            1,
            Deadline::after(Duration::ZERO).as_nanos(),
        ] {
            let args = drm_pddgpu_gem_wait {
                handle: buffer.handle(),
                timeout_ns,
                ..Default::default()
            };
            let result = bench.card.raw().gem_wait(args);
            ensure!(result == Ok(()), "{domain}, until {timeout_ns}: {result:?}");
        }
    }
    Ok(())
}

fn finds_moved_buffers_idle_in_time(bench: &Bench) -> Result<()> {
    let buffer = bench.card.create(Create::new(1 << 20, Domains::all()))?;
    for domain in [Domain::Gtt, Domain::Cpu, Domain::Vram] {
        buffer.move_to(domain)?;
        let idle = buffer.wait(Deadline::after(Duration::from_secs(5)))?;
        ensure!(idle, "still busy 5 s after a move to {domain}");
    }
    Ok(())
}

fn rejects_padding(bench: &Bench) -> Result<()> {
    let buffer = bench.card.create(Create::new(4096, Domains::CPU))?;
    let args = drm_pddgpu_gem_wait {
        handle: buffer.handle(),
        pad: 1,
        ..Default::default()
    };
    let result = bench.card.raw().gem_wait(args);
    ensure!(result == Err(Errno::INVAL), "{result:?}");
    Ok(())
}

fn rejects_unknown_handles(bench: &Bench) -> Result<()> {
    for handle in [0, 12345, u32::MAX] {
        for timeout_ns in [0, i64::MAX] {
            let args = drm_pddgpu_gem_wait {
                handle,
                timeout_ns,
                ..Default::default()
            };
            let result = bench.card.raw().gem_wait(args);
            ensure!(result == Err(Errno::NOENT), "{handle}: {result:?}");
        }
    }
    Ok(())
}
