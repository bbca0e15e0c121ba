// SPDX-License-Identifier: GPL-2.0

//! The settings of the leak detector and of the usage limit.

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{Card, Create, CreateFlags, Domains, LeakState};
use rustix::io::Errno;

use crate::support::{
    driver::Driver,
    fixture::{trials, Bench},
    kmsg::Log,
    stats::{await_leaks, Setting, Settings},
};

pub fn tests() -> Vec<Trial> {
    let mut tests = trials!(card_trial:
        values_are_read_back,
        rejects_what_is_out_of_range,
        rejects_what_is_no_number,
        without_an_interval_there_are_no_checks,
        checks_can_be_stopped_and_started,
    );
    tests.extend(trials!(driver_trial: a_bound_card_has_the_defaults));
    tests
}

fn a_bound_card_has_the_defaults(driver: &Driver) -> Result<()> {
    driver.unbind()?;
    driver.bind().context("bind")?;
    let all = Settings::of(&Card::find()?)?.all()?;
    let wanted = [5_000, 30_000, 300_000, 90, 0];
    ensure!(all == wanted, "{all:?}, not {wanted:?}");
    Ok(())
}

fn values_are_read_back(bench: &Bench) -> Result<()> {
    let settings = Settings::of(&bench.card)?;
    settings.set_ages(0, u32::MAX.into())?;
    for (setting, values) in [
        (Setting::Interval, vec![1, 1234, i32::MAX as u64, 0, 10_000]),
        (Setting::SuspectedAfter, vec![0, 1, 77, u32::MAX.into()]),
        (Setting::ConfirmedAfter, vec![u32::MAX.into()]),
        (Setting::UsageLimit, vec![0, 1, 50, 100]),
        (Setting::Traces, vec![1, 0]),
    ] {
        let at = Setting::ALL.iter().position(|s| *s == setting);
        let at = at.context("a setting among all of them")?;
        for value in values {
            let mut wanted = settings.all()?;
            wanted[at] = value;
            settings.set(setting, value)?;
            let all = settings.all()?;
            ensure!(all == wanted, "{setting:?}: {all:?}, not {wanted:?}");
        }
    }
    settings.set_ages(5, 5)?;
    settings
        .write(Setting::UsageLimit, "0x32\n")
        .context("hexadecimal")?;
    ensure!(settings.all()?[3] == 50, "{:?}", settings.all()?);
    Ok(())
}

fn ensure_invalid(settings: &Settings, setting: Setting, text: &str) -> Result<()> {
    let before = settings.all()?;
    let result = settings.write(setting, text);
    ensure!(
        result == Err(Errno::INVAL),
        "{setting:?}, '{text}': {result:?}"
    );
    let after = settings.all()?;
    ensure!(
        after == before,
        "{setting:?}, '{text}': {before:?} {after:?}"
    );
    Ok(())
}

fn rejects_what_is_out_of_range(bench: &Bench) -> Result<()> {
    let settings = Settings::of(&bench.card)?;
    settings.set_ages(1000, 2000)?;
    for (setting, value) in [
        (Setting::Interval, 1 << 31),
        (Setting::Interval, u64::MAX),
        (Setting::SuspectedAfter, 2001),
        (Setting::SuspectedAfter, u64::MAX),
        (Setting::ConfirmedAfter, 999),
        (Setting::ConfirmedAfter, 1 << 32),
        (Setting::ConfirmedAfter, u64::MAX),
        (Setting::UsageLimit, 101),
        (Setting::UsageLimit, u64::MAX),
        (Setting::Traces, 2),
        (Setting::Traces, u64::MAX),
    ] {
        ensure_invalid(&settings, setting, &value.to_string())?;
    }
    Ok(())
}

fn rejects_what_is_no_number(bench: &Bench) -> Result<()> {
    let settings = Settings::of(&bench.card)?;
    let long = "0".repeat(100);
    for setting in Setting::ALL {
        for text in [
            " ",
            "x",
            "-1",
            "1 1",
            "1ms",
            "1.5",
            "0x",
            "18446744073709551616",
            &long,
        ] {
            ensure_invalid(&settings, setting, text)?;
        }
    }
    Ok(())
}

/// Has the statistics' work run once, whether it checks for leaks or not, and waits for it: it warns
/// of a heap that gets too full.
fn await_work(bench: &Bench, settings: &Settings, log: &mut Log) -> Result<()> {
    settings.set(Setting::UsageLimit, 0)?;
    let create = Create::new(4096, Domains::GTT).flags(CreateFlags::NO_CPU_ACCESS);
    let buffer = bench.card.create(create)?;
    log.wait_for("GTT is nearly full", 1)?;
    buffer.close()?;
    settings.set(Setting::UsageLimit, 100)
}

fn without_an_interval_there_are_no_checks(bench: &Bench) -> Result<()> {
    let card = &bench.card;
    let settings = Settings::of(card)?;
    let mut log = Log::from_now()?;
    settings.prepare(LeakState::Confirmed)?;
    let _buffer = card.create(Create::new(4096, Domains::CPU))?;
    for _ in 0..3 {
        await_work(bench, &settings, &mut log)?;
        ensure!(card.leaks()?.is_empty(), "{:?}", card.leaks()?);
    }
    settings.check()?;
    await_leaks(card, |leaks| leaks.len() == 1, "leak")?;
    Ok(())
}

fn checks_can_be_stopped_and_started(bench: &Bench) -> Result<()> {
    let card = &bench.card;
    let settings = Settings::of(card)?;
    let mut log = Log::from_now()?;
    settings.prepare(LeakState::Confirmed)?;
    let mut buffers = Vec::new();
    for count in 1..=5 {
        // Long intervals are cut short.
        settings.set(Setting::Interval, i32::MAX as u64)?;
        settings.check()?;
        buffers.push(card.create(Create::new(4096, Domains::CPU))?);
        await_leaks(card, |leaks| leaks.len() == count, "further leak")?;
        settings.set(Setting::Interval, 0)?;
        await_work(bench, &settings, &mut log)?;
    }
    Ok(())
}
