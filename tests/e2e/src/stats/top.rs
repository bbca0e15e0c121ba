// SPDX-License-Identifier: GPL-2.0

//! `pddgpuctl top` on a real driver, in a terminal of its own.

use anyhow::{ensure, Result};
use libtest_mimic::Trial;
use pddgpu::{Create, Domain, Domains};
use pddgpu_terminal::Terminal;

use crate::support::fixture::{trials, Bench};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial: shows_the_card_as_it_is_used)
}

fn shows_the_card_as_it_is_used(bench: &Bench) -> Result<()> {
    let path = bench.card.path().to_string_lossy();
    let mut terminal = Terminal::start(
        "pddgpuctl",
        &["--device", &path, "top", "--interval", "0.1"],
        &[],
    )?;
    let title = format!("PDD{:x} at ", bench.device.chip_id);
    terminal.wait_for(&title, |screen| screen.contents().starts_with(&title))?;
    terminal.wait_for_text("0 buffers alive")?;

    let first = bench.card.create(Create::new(3 << 20, Domains::GTT))?;
    let second = bench.card.create(Create::new(1 << 20, Domains::CPU))?;
    terminal.wait_for_text("2 buffers alive")?;
    let gtt = bench.heap(Domain::Gtt)?;
    terminal.wait_for_text(&format!("{} MiB of ", gtt.used >> 20))?;
    terminal.wait_for_text("1 MiB of ")?;
    terminal.wait_for("line of this client", |screen| {
        let text = screen.contents();
        text.lines().any(|line| {
            line.contains("pddgpu-e2e") && line.contains("3 MiB") && line.contains("1 MiB")
        })
    })?;

    drop((first, second));
    terminal.wait_for_text("0 buffers alive")?;
    terminal.press(b"q")?;
    ensure!(terminal.wait_for_end()?.success(), "it failed");
    ensure!(terminal.is_cooked()?, "the terminal is still raw");
    Ok(())
}
