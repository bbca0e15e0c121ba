// SPDX-License-Identifier: GPL-2.0

//! Syncobjs, which the DRM core has for every driver that asks for them.

use std::os::fd::AsFd;

use anyhow::{ensure, Result};
use drm_ffi::syncobj;
use libtest_mimic::Trial;

use crate::support::fixture::{trials, Bench};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial: has_the_capabilities, waits_for_points)
}

const CAP_SYNCOBJ: u64 = 0x13;
const CAP_SYNCOBJ_TIMELINE: u64 = 0x14;

fn has_the_capabilities(bench: &Bench) -> Result<()> {
    for capability in [CAP_SYNCOBJ, CAP_SYNCOBJ_TIMELINE] {
        let found = drm_ffi::get_capability(bench.card.as_fd(), capability)?;
        ensure!(found.value == 1, "capability {capability:#x}");
    }
    Ok(())
}

fn waits_for_points(bench: &Bench) -> Result<()> {
    let fd = bench.card.as_fd();
    let made = syncobj::create(fd, false)?;
    syncobj::timeline_signal(fd, &[made.handle], &[3])?;
    let mut points = [0];
    syncobj::query(fd, &[made.handle], &mut points, false)?;
    ensure!(points == [3], "{points:?}");
    syncobj::timeline_wait(fd, &[made.handle], &[2], 0, true, false, false)?;
    syncobj::destroy(fd, made.handle)?;
    Ok(())
}
