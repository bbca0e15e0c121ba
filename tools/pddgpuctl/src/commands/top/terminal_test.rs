// SPDX-License-Identifier: GPL-2.0

//! Runs `top` in a pseudo-terminal and reads the screen, as its user does.
//!
//! The figures come from a script. It needs no card, and it can also fail. The program that runs in
//! the terminal is this test program itself, told to run `program()` only. In this way nothing is
//! built or installed that only this test needs.

use std::{env, time::Duration};

use anyhow::{bail, ensure, Context, Result};
use pddgpu::{Domain, Heap};
use pddgpu_terminal::Terminal;
use rustix::process::Signal;

use crate::commands::top::{
    show,
    source::{Sample, Source},
};

/// The name of `program()` among the tests.
const PROGRAM: &str = "commands::top::terminal_test::program";

/// The environment variable that says how the script ends.
const ENDING: &str = "PDDGPUCTL_TEST_ENDING";

/// VRAM fills up by 1 MiB with each sample. The third sample ends the script as told.
struct Script {
    samples: u64,
    ending: String,
}

impl Source for Script {
    fn sample(&mut self) -> Result<Sample> {
        self.samples += 1;
        match (self.samples, self.ending.as_str()) {
            (3.., "error") => bail!("the card is gone"),
            (3.., "panic") => panic!("a defect"),
            _ => {}
        }
        let mut sample = Sample {
            heaps: vec![Heap {
                domain: Domain::Vram,
                total: 64 << 20,
                usable: 64 << 20,
                used: self.samples << 20,
                reserved: 0,
                visible_total: 16 << 20,
                visible_used: 0,
            }],
            ..Default::default()
        };
        sample.stats.objects_live = self.samples;
        Ok(sample)
    }
}

#[test]
#[ignore = "the other tests run it, in a terminal of its own"]
fn program() {
    let script = Script {
        samples: 0,
        ending: env::var(ENDING).unwrap_or_default(),
    };
    show(script, "a script".into(), Duration::from_millis(100)).unwrap();
}

/// Runs the program in a terminal.
fn start(ending: &str) -> Result<Terminal> {
    let program = env::current_exe()?;
    let program = program.to_str().context("a path of text")?;
    // A backtrace would push the error message off the screen.
    let variables = [(ENDING, ending), ("RUST_BACKTRACE", "0")];
    let arguments = ["--exact", PROGRAM, "--ignored", "--nocapture"];
    Terminal::start(program, &arguments, &variables)
}

/// Checks that the terminal is as a shell wants it.
fn ensure_restored(terminal: &Terminal) -> Result<()> {
    terminal.wait_for("ordinary screen with a cursor", |screen| {
        !screen.alternate_screen() && !screen.hide_cursor()
    })?;
    ensure!(terminal.is_cooked()?, "the terminal is still raw");
    Ok(())
}

#[test]
fn figures_change_on_a_full_screen_until_q() -> Result<()> {
    let mut terminal = start("")?;
    terminal.wait_for("title", |screen| {
        screen.contents().starts_with("a script") && screen.alternate_screen()
    })?;
    ensure!(!terminal.is_cooked()?, "what is typed would be shown");
    terminal.wait_for_text("4 MiB of 64 MiB")?;
    terminal.wait_for_text("6 MiB of 64 MiB")?;
    terminal.wait_for_text("every 0.1 s")?;
    terminal.press(b"x")?;
    terminal.wait_for_text("16 MiB of 64 MiB")?;

    terminal.press(b"q")?;
    ensure!(terminal.wait_for_end()?.success(), "it failed");
    ensure_restored(&terminal)
}

#[test]
fn the_screen_follows_the_size_of_the_terminal() -> Result<()> {
    let mut terminal = start("")?;
    terminal.wait_for_text("q quits")?;
    terminal.resize(40, 120)?;
    terminal.wait_for("footer in the last line", |screen| {
        let last = screen.rows(0, 120).nth(39);
        last.is_some_and(|line| line.starts_with("q quits"))
    })?;
    terminal.press(b"q")?;
    ensure!(terminal.wait_for_end()?.success(), "it failed");
    ensure_restored(&terminal)
}

#[test]
fn control_c_ends_it_too() -> Result<()> {
    let mut terminal = start("")?;
    terminal.wait_for_text("q quits")?;
    terminal.press(b"\x03")?;
    ensure!(terminal.wait_for_end()?.success(), "it failed");
    ensure_restored(&terminal)
}

#[test]
fn a_signal_leaves_the_terminal_in_order() -> Result<()> {
    let mut terminal = start("")?;
    terminal.wait_for_text("q quits")?;
    terminal.kill(Signal::TERM)?;
    terminal.wait_for_end()?;
    ensure_restored(&terminal)
}

#[test]
fn errors_and_panics_leave_the_terminal_in_order_and_are_shown() -> Result<()> {
    for (ending, message) in [("error", "the card is gone"), ("panic", "a defect")] {
        let mut terminal = start(ending)?;
        ensure!(
            !terminal.wait_for_end()?.success(),
            "{ending}: it succeeded"
        );
        ensure_restored(&terminal)?;
        terminal.wait_for_text(message)?;
    }
    Ok(())
}
