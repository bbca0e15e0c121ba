// SPDX-License-Identifier: GPL-2.0

//! `pddgpuctl demo`: shows the card's memory in named steps. Each step checks what it shows.

mod report;
mod split;
mod stage;
mod steps;

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{ensure, Result};
use pddgpu::{Card, Heap};

use crate::{
    commands::{heaps, info},
    output::json,
};
use report::Report;
use stage::Stage;

pub fn run(card: &Card, json: bool) -> Result<ExitCode> {
    let stage = &mut Stage::new(card)?;
    let before = card.heaps()?;

    let mut report = Report::new(json);
    report.step("The card", |notes| {
        notes.add(format!("node: {}", card.path().display()))?;
        for (name, value) in info::fields(&stage.device) {
            notes.add(format!("{name}: {value}"))?;
        }
        Ok(())
    })?;
    report.step("Heaps before", |notes| {
        notes.table(&heaps::table(&before))?;
        Ok(())
    })?;
    report.step("The design documents' snippets, in C", steps::c_sample)?;
    report.step("A buffer in each domain", |notes| {
        steps::each_domain(stage, notes)
    })?;
    report.step("A contiguous buffer in VRAM", |notes| {
        steps::contiguous(stage, notes)
    })?;
    report.step("A split buffer in VRAM", |notes| steps::split(stage, notes))?;
    report.step("VRAM -> GTT -> VRAM with its content", |notes| {
        steps::there_and_back(stage, notes)
    })?;
    report.step("Heaps after", |notes| {
        let after = await_heaps(card, &before)?;
        notes.table(&heaps::table(&after))?;
        ensure!(after == before, "the heaps are not as they were before");
        notes.add("as before: nothing is left behind")?;
        Ok(())
    })?;

    let passed = report.passed();
    if json {
        json::print(&report)?;
    } else {
        report.print_summary()?;
    }
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// How long the driver may take to wipe freed memory.
const WIPE_TIMEOUT: Duration = Duration::from_secs(5);

/// Waits until the heaps are as they were before, and gives them as they are then. The driver wipes
/// freed memory in the background and there is no event at its end. For this reason the heaps are
/// asked for again and again until the time-out.
fn await_heaps(card: &Card, before: &[Heap]) -> Result<Vec<Heap>> {
    let deadline = Instant::now() + WIPE_TIMEOUT;
    loop {
        let now = card.heaps()?;
        if now == before || Instant::now() > deadline {
            return Ok(now);
        }
        thread::sleep(Duration::from_millis(10));
    }
}
