// SPDX-License-Identifier: GPL-2.0

//! A tour through the card's memory in named steps, each of which checks what it shows.

mod report;
mod split;
mod steps;

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{ensure, Result};
use pddgpu::{virtual_card::VirtualCard, Card, Device, Heap};

use crate::{
    commands::{heaps, info},
    output,
};
use report::Report;

/// What the steps work on.
struct Stage {
    card: Card,
    device: Device,
    /// The virtual card's own view of itself; a real card has none.
    virtual_card: Option<VirtualCard>,
}

/// How long the driver may take to wipe what was freed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Gives the heaps once they are as they were. The driver tells nobody when it has wiped what was freed,
/// so this asks again and again, but not for ever.
fn await_heaps(card: &Card, before: &[Heap]) -> Result<Vec<Heap>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = card.heaps()?;
        if now == before || Instant::now() > deadline {
            return Ok(now);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

pub fn run(card: &Card, json: bool) -> Result<ExitCode> {
    let mut stage = Stage {
        card: card.clone(),
        device: card.device()?,
        virtual_card: VirtualCard::find()?,
    };
    let stage = &mut stage;
    let before = card.heaps()?;

    let mut report = Report::new(json);
    report.step("The card", |notes| {
        notes.add(format!("node: {}", card.path().display()));
        for (name, value) in info::rows(&stage.device) {
            notes.add(format!("{name}: {value}"));
        }
        Ok(())
    });
    report.step("Heaps before", |notes| {
        notes.table(&heaps::table(&before));
        Ok(())
    });
    report.step("The design documents' snippets, in C", steps::c_sample);
    report.step("A buffer in each domain", |notes| {
        steps::each_domain(stage, notes)
    });
    report.step("A contiguous buffer in VRAM", |notes| {
        steps::contiguous(stage, notes)
    });
    report.step("A split buffer in VRAM", |notes| steps::split(stage, notes));
    report.step("VRAM -> GTT -> VRAM with its content", |notes| {
        steps::there_and_back(stage, notes)
    });
    report.step("Heaps after", |notes| {
        let after = await_heaps(card, &before)?;
        notes.table(&heaps::table(&after));
        ensure!(after == before, "the heaps are not as they were before");
        notes.add("as before: nothing is left behind");
        Ok(())
    });

    let passed = report.passed();
    if json {
        output::json(&report)?;
    } else {
        report.print_summary();
    }
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
