// SPDX-License-Identifier: GPL-2.0

//! `pddgpuctl top`: shows the card's memory on the full screen, as it changes.

mod screen;
mod source;
mod state;
#[cfg(test)]
mod terminal_test;
mod tree;
mod view;

use std::{
    io::{self, IsTerminal},
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc,
    },
    time::{Duration, Instant},
};

use anyhow::{ensure, Context, Result};
use clap::Args;
use pddgpu::Card;
use ratatui::{
    crossterm::event::{self, Event, KeyEventKind},
    DefaultTerminal,
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

use crate::output::{json, units::parse_interval};
use source::{CardSource, Source};
use state::State;

/// The longest time from a signal to the end of the program.
const SIGNAL_CHECK_INTERVAL: Duration = Duration::from_millis(200);

#[derive(Args)]
pub struct Arguments {
    /// Refresh the screen every SECONDS seconds, from 0.1 to 86400.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = parse_interval)]
    pub interval: Duration,
}

pub fn run(card: &Card, arguments: &Arguments, json: bool) -> Result<()> {
    if json {
        return json::print(&CardSource::new(card).sample()?);
    }
    let title = title(card)?;
    show(CardSource::new(card), title, arguments.interval)
}

fn title(card: &Card) -> Result<String> {
    let device = card.device()?;
    Ok(format!(
        "PDD{:x} at {}",
        device.chip_id,
        card.path().display()
    ))
}

/// Shows what comes from the source until a key or a signal ends it. Afterwards the terminal is as
/// it was before, also after a panic.
fn show(mut source: impl Source, title: String, interval: Duration) -> Result<()> {
    ensure!(
        io::stdin().is_terminal() && io::stdout().is_terminal(),
        "top needs a terminal; `stats` prints to anything"
    );
    // The first sample is taken before the screen changes, so that an error is still seen after it.
    let mut state = State::new(title, interval, source.sample()?);
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        flag::register(signal, ended.clone())?;
    }

    let mut terminal = ratatui::try_init().context("cannot set the terminal up")?;
    let result = refresh(&mut terminal, &mut source, &mut state, &ended);
    let restored = ratatui::try_restore().context("cannot set the terminal back");
    result.and(restored)
}

/// Draws the screen again and again until a key or a signal ends it.
fn refresh(
    terminal: &mut DefaultTerminal,
    source: &mut impl Source,
    state: &mut State,
    ended: &AtomicBool,
) -> Result<()> {
    // Not every terminal has a second screen that is empty; a serial console has not.
    terminal.clear()?;
    let mut due = Instant::now() + state.interval;
    while !ended.load(Ordering::Relaxed) {
        terminal.draw(|frame| screen::draw(frame, state))?;
        let left = due.saturating_duration_since(Instant::now());
        if event::poll(left.min(SIGNAL_CHECK_INTERVAL))? {
            match event::read()? {
                Event::Key(key) if key.kind == KeyEventKind::Press && state.view.key(key) => break,
                _ => continue,
            }
        }
        let now = Instant::now();
        if now >= due {
            state.update(source.sample()?, now);
            due = now + state.interval;
        }
    }
    Ok(())
}
