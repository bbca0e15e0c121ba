// SPDX-License-Identifier: GPL-2.0

//! What the kernel is told about the card's interrupts.

use std::fs;

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;

use crate::support::{
    driver::slot,
    engine::Counters,
    fixture::{trials, virtual_card, Bench},
    patience::eventually,
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial: the_kernel_hears_of_interrupts_for_nothing)
}

/// What a line of `/proc/irq/N/spurious` says of the card's interrupt.
fn spurious(bench: &Bench, name: &str) -> Result<u64> {
    let vectors = format!("/sys/bus/pci/devices/{}/msi_irqs", slot(&bench.card)?);
    let vector = fs::read_dir(vectors)?.next().context("no vector")??;
    let vector = vector.file_name();
    let report = fs::read_to_string(format!("/proc/irq/{}/spurious", vector.to_string_lossy()))?;
    let mut words = report.split_whitespace();
    words.find(|&word| word == name).context("no such line")?;
    Ok(words.next().context("no number")?.parse()?)
}

/// The kernel switches off an interrupt that comes again and again for nothing. It can only do so if
/// the driver says which are for nothing.
fn the_kernel_hears_of_interrupts_for_nothing(bench: &Bench) -> Result<()> {
    // Without an engine there are no interrupts.
    Counters::read(&bench.card)?;
    let before = spurious(bench, "last_unhandled")?;
    ensure!(virtual_card()?.interrupt()?, "nobody listens");
    eventually(|| {
        let now = spurious(bench, "last_unhandled")?;
        ensure!(now > before, "the driver claims an interrupt for nothing");
        Ok(())
    })
}
