// SPDX-License-Identifier: GPL-2.0

//! A reset of the function that nobody tells the driver of: it sets the card up again.

use std::fs;

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{virtual_card::pages::pattern, Create, CreateFlags, Domain, Domains};

use crate::support::{
    compare::ensure_holds,
    engine::{finish, Counters},
    fixture::{trials, Bench},
    kmsg::Log,
    nodes::pci_folder,
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial: the_engine_goes_on_after_a_reset)
}

fn the_engine_goes_on_after_a_reset(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    let create = Create::new(1 << 20, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let buffer = bench.card.create(create)?;
    let content = pattern(3, 1 << 20);
    buffer.map()?.write(0, &content);
    for round in 0..3 {
        let mut log = Log::from_now()?;
        let reset = pci_folder(&bench.card)?.join("reset");
        fs::write(&reset, "1").with_context(|| reset.display().to_string())?;
        for domain in [Domain::Gtt, Domain::Vram] {
            buffer.move_to(domain)?;
            finish(&buffer)?;
        }
        log.wait_for("behind the driver's back", 1)?;
        ensure_holds(&buffer.map()?, &content, &format!("after reset {round}"))?;
    }
    ensure!(Counters::read(&bench.card)?.wedged == 0, "given up");
    Ok(())
}
