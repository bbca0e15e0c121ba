// SPDX-License-Identifier: GPL-2.0

//! Sleep of the system: all buffers keep their content, and are where they were.

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::Domain;
use rustix::io::Errno;

use crate::support::{
    fixture::{skip, trials, Bench},
    hog::Hog,
    holdings::{fill_vram, use_while, Holdings, SIZE},
    kmsg::Log,
    marked::Marked,
    meminfo::Swap,
    sleep::{Sleep, STAGES},
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        buffers_survive_idle_sleep,
        buffers_survive_deep_sleep,
        buffers_survive_sleep_that_ends_early,
        buffers_are_in_use_while_the_system_goes_to_sleep,
        sleep_is_refused_if_vram_does_not_fit_into_memory,
        vram_goes_to_swap_for_sleep,
    )
}

/// Has the system sleep several times with buffers on the card.
fn survive(bench: &Bench, sleep: Sleep, times: u32) -> Result<()> {
    if !sleep.is_possible() {
        return skip(format!(
            "this machine cannot sleep so: {sleep:?} (vm/run --sleep)"
        ));
    }
    let mut set = Holdings::create(&bench.card)?;
    for time in 0..times {
        sleep
            .sleep()
            .and_then(|()| set.check())
            .and_then(|()| set.exercise())
            .with_context(|| format!("{sleep:?}, time {time}"))?;
    }
    Ok(())
}

fn buffers_survive_idle_sleep(bench: &Bench) -> Result<()> {
    survive(bench, Sleep::Idle, 2)
}

fn buffers_survive_deep_sleep(bench: &Bench) -> Result<()> {
    survive(bench, Sleep::Deep, 2)
}

fn buffers_survive_sleep_that_ends_early(bench: &Bench) -> Result<()> {
    STAGES
        .map(Sleep::Test)
        .into_iter()
        .filter(|stage| stage.is_possible())
        .try_for_each(|stage| survive(bench, stage, 1))
}

fn buffers_are_in_use_while_the_system_goes_to_sleep(bench: &Bench) -> Result<()> {
    let sleep = Sleep::Test("devices");
    if !sleep.is_possible() {
        return skip("this machine cannot end sleep early");
    }
    use_while(&bench.card, || (0..4).try_for_each(|_| sleep.sleep()))
}

fn sleep_is_refused_if_vram_does_not_fit_into_memory(bench: &Bench) -> Result<()> {
    let sleep = Sleep::Test("freezer");
    if !sleep.is_possible() {
        return skip("this machine cannot end sleep early");
    }
    let buffers = fill_vram(bench)?;
    let bytes = buffers.len() as u64 * SIZE;
    if bytes < 24 << 20 {
        return skip("this card's aperture is too small to matter");
    }
    let mut log = Log::from_now()?;
    {
        let _hog = Hog::leave(bytes / 2)?;
        let error = sleep.sleep().err().context("it slept")?;
        let errno = error
            .downcast_ref::<std::io::Error>()
            .and_then(Errno::from_io_error);
        ensure!(errno == Some(Errno::NOMEM), "{error:#}");
    }
    let line = log.wait_for("VRAM cannot be saved", 1)?.remove(0);
    ensure!(
        line.contains(&format!("{bytes} bytes in use"))
            && line.contains("bytes missing")
            && line.contains(&format!(
                "pddgpu-e2e[{}] has {bytes} bytes",
                std::process::id()
            )),
        "{line}"
    );
    for marked in &buffers {
        let info = marked.buffer.info()?;
        ensure!(info.placement == Domain::Vram, "{info:?}");
        marked.check()?;
    }
    sleep.sleep()?;
    buffers.iter().try_for_each(Marked::check)
}

fn vram_goes_to_swap_for_sleep(bench: &Bench) -> Result<()> {
    // Later stages need memory of all drivers, for their devices, and this leaves them none.
    let sleep = Sleep::Test("freezer");
    if !sleep.is_possible() {
        return skip("this machine cannot end sleep early");
    }
    let buffers = fill_vram(bench)?;
    let bytes = buffers.len() as u64 * SIZE;
    if bytes < 24 << 20 {
        return skip("this card's aperture is too small to matter");
    }
    let _swap = Swap::on(4 * bytes)?;
    {
        let _hog = Hog::leave(bytes / 2)?;
        sleep.sleep()?;
    }
    buffers.iter().try_for_each(Marked::check)
}
