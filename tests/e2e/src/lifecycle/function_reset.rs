// SPDX-License-Identifier: GPL-2.0

//! Resets of the function and of its bus, announced or not: what can be saved is saved, and what is lost
//! is lost loudly.

use anyhow::{ensure, Result};
use libtest_mimic::Trial;
use pddgpu::{virtual_card::pages::pattern, Create, CreateFlags, Domain, Domains};

use crate::support::{
    compare::ensure_holds,
    config_space::ConfigSpace,
    engine::{finish, Counters},
    fixture::{skip, trials, virtual_card, Bench},
    hog::Hog,
    holdings::{fill_vram, Holdings, SIZE},
    kmsg::Log,
    nodes::pci_folder,
    patience::eventually,
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        the_engine_goes_on_after_a_reset_nobody_told_of,
        everything_survives_a_reset_of_the_function,
        everything_survives_a_reset_of_the_bus,
        a_reset_without_memory_to_save_vram_keeps_it,
        what_is_lost_without_power_reads_zeroes_and_says_so,
    )
}

fn config(bench: &Bench) -> Result<ConfigSpace> {
    ConfigSpace::open(&pci_folder(&bench.card)?)
}

fn the_engine_goes_on_after_a_reset_nobody_told_of(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    let create = Create::new(1 << 20, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let buffer = bench.card.create(create)?;
    let content = pattern(3, 1 << 20);
    buffer.map()?.write(0, &content);
    for round in 0..3 {
        let mut log = Log::from_now()?;
        config(bench)?.reset_function()?;
        for domain in [Domain::Gtt, Domain::Vram] {
            buffer.move_to(domain)?;
            finish(&buffer)?;
        }
        log.wait_for("behind the driver's back", 1)?;
        ensure_holds(&buffer.map()?, &content, &format!("after reset {round}"))?;
    }
    ensure!(Counters::read(&bench.card)?.wedged == 0, "given up");
    ensure!(!buffer.info()?.content_lost, "nothing was lost");
    Ok(())
}

/// Resets the card a few times with buffers on it.
fn survive(bench: &Bench, config: &ConfigSpace) -> Result<()> {
    let mut held = Holdings::create(&bench.card)?;
    let mut log = Log::from_now()?;
    for _ in 0..3 {
        config.reset()?;
        held.check()?;
        held.exercise()?;
    }
    for (marked, _) in &held.0 {
        ensure!(!marked.buffer.info()?.content_lost, "nothing was lost");
    }
    let errors = log.errors()?;
    ensure!(errors.is_empty(), "{errors:#?}");
    Ok(())
}

fn everything_survives_a_reset_of_the_function(bench: &Bench) -> Result<()> {
    survive(bench, &config(bench)?)
}

fn everything_survives_a_reset_of_the_bus(bench: &Bench) -> Result<()> {
    let config = config(bench)?;
    if !config.has_method("bus") {
        return skip("the card is not behind a port of its own (vm/run --port)");
    }
    config.set_method("bus")?;
    let result = survive(bench, &config);
    config.set_method("default")?;
    result
}

fn a_reset_without_memory_to_save_vram_keeps_it(bench: &Bench) -> Result<()> {
    let buffers = fill_vram(bench)?;
    let bytes = buffers.len() as u64 * SIZE;
    if bytes < 24 << 20 {
        return skip("this card's aperture is too small to matter");
    }
    let mut log = Log::from_now()?;
    {
        let _hog = Hog::leave(bytes / 2)?;
        config(bench)?.reset()?;
    }
    log.wait_for("VRAM could not be saved before a reset", 1)?;
    for marked in &buffers {
        marked.check()?;
        ensure!(!marked.buffer.info()?.content_lost, "nothing was lost");
    }
    Ok(())
}

fn what_is_lost_without_power_reads_zeroes_and_says_so(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    let mut held = Holdings::create(&bench.card)?;
    let mut log = Log::from_now()?;

    config(bench)?.keep(|| {
        let mut card = virtual_card()?;
        card.set_gone(true)?;
        Ok(card.set_gone(false)?)
    })?;
    // The watchdog looks at the card when it is used.
    let probe = bench.card.create(Create::new(4096, Domains::VRAM))?;
    finish(&probe)?;
    let line = log.wait_for("VRAM has lost its content", 1)?.remove(0);
    ensure!(line.contains("buffers of"), "{line}");

    for (marked, domain) in &mut held.0 {
        if *domain != Domain::Vram {
            ensure!(!marked.buffer.info()?.content_lost, "{domain} is lost");
            marked.check()?;
            continue;
        }
        eventually(|| {
            ensure!(marked.buffer.info()?.content_lost, "not said to be lost");
            Ok(())
        })?;
        ensure!(
            marked.map.to_vec().iter().all(|&byte| byte == 0),
            "it reads something"
        );
        marked.fill(77);
    }
    held.exercise()
}
