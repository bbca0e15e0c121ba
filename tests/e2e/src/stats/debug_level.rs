// SPDX-License-Identifier: GPL-2.0

//! The module's parameter `debug_level`: the statistics in the kernel's log.

use std::{ffi::CStr, fs};

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{Buffer, Card, Create, Domains, LeakState};

use crate::support::{
    driver::{load, load_with, unload, Driver},
    fixture::trials,
    kmsg::Log,
    patience::eventually,
    stats::Settings,
};

/// Where the DRM core is told whose messages to log.
const DRM_DEBUG: &str = "/sys/module/drm/parameters/debug";

/// Those of drivers.
const DRIVER: &str = "2";

/// A line of the statistics.
const LINE: &str = "heap (bytes)";

pub fn tests() -> Vec<Trial> {
    trials!(driver_trial:
        level_zero_logs_nothing,
        level_one_logs_changes_for_drm_debug,
        level_two_logs_every_check,
    )
}

/// Runs a test with the module loaded at a level.
fn at_level(parameters: &CStr, test: impl FnOnce(&Card) -> Result<()>) -> Result<()> {
    let before = fs::read_to_string(DRM_DEBUG).context(DRM_DEBUG)?;
    unload().context("unload")?;
    load_with(parameters)?;
    let result = Card::find()
        .map_err(Into::into)
        .and_then(|card| test(&card));
    fs::write(DRM_DEBUG, before)?;
    eventually(|| Ok(unload()?)).context("unload")?;
    load()?;
    result
}

/// Has a new buffer confirmed as leaked, and gives what was logged until then, or a little longer. A
/// check logs its leaks first.
fn confirm_one(card: &Card, log: &mut Log) -> Result<(Buffer, Vec<String>)> {
    let buffer = card.create(Create::new(4096, Domains::CPU))?;
    let mut lines = log.wait_for("", 1)?;
    while !lines.iter().any(|line| line.contains("leak confirmed")) {
        lines.extend(log.wait_for("", 1)?);
    }
    Ok((buffer, lines))
}

fn has_statistics(lines: &[String]) -> bool {
    lines.iter().any(|line| line.contains(LINE))
}

fn level_zero_logs_nothing(_: &Driver) -> Result<()> {
    at_level(c"debug_level=0", |card| {
        let settings = Settings::of(card)?;
        fs::write(DRM_DEBUG, DRIVER)?;
        let mut log = Log::from_now()?;
        settings.prepare(LeakState::Confirmed)?;
        settings.check()?;
        let mut buffers = Vec::new();
        for _ in 0..3 {
            let (buffer, lines) = confirm_one(card, &mut log)?;
            ensure!(!has_statistics(&lines), "{lines:#?}");
            buffers.push(buffer);
        }
        Ok(())
    })
}

fn level_one_logs_changes_for_drm_debug(_: &Driver) -> Result<()> {
    at_level(c"debug_level=1", |card| {
        let settings = Settings::of(card)?;
        let mut log = Log::from_now()?;
        settings.prepare(LeakState::Confirmed)?;
        settings.check()?;
        let mut buffers = Vec::new();
        for _ in 0..3 {
            let (buffer, lines) = confirm_one(card, &mut log)?;
            ensure!(!has_statistics(&lines), "not asked for: {lines:#?}");
            buffers.push(buffer);
        }
        fs::write(DRM_DEBUG, DRIVER)?;
        let buffer = card.create(Create::new(4096, Domains::CPU))?;
        log.wait_for(LINE, 1)?;
        buffers.push(buffer);
        // Checks without a change say nothing: the next that does is that of the next leak.
        let (_buffer, lines) = confirm_one(card, &mut log)?;
        let confirmed = lines
            .iter()
            .position(|line| line.contains("leak confirmed"));
        let quiet = &lines[..confirmed.unwrap_or(lines.len())];
        ensure!(!has_statistics(quiet), "without a change: {lines:#?}");
        Ok(())
    })
}

fn level_two_logs_every_check(_: &Driver) -> Result<()> {
    at_level(c"debug_level=2", |card| {
        let settings = Settings::of(card)?;
        let mut log = Log::from_now()?;
        settings.check()?;
        let lines = log.wait_for(LINE, 3)?;
        ensure!(lines[0].contains("pddgpu "), "about no device: {lines:#?}");
        Ok(())
    })
}
