// SPDX-License-Identifier: GPL-2.0

//! Resets of the function and of its bus, announced or not: what can be saved is saved, and what is lost
//! is lost loudly.

use std::thread;

use anyhow::{ensure, Result};
use libtest_mimic::Trial;
use pddgpu::{
    virtual_card::{pages::pattern, Injection},
    Create, CreateFlags, Domain, Domains,
};

use crate::support::{
    compare::{ensure_holds, ensure_zero},
    config_space::ConfigSpace,
    engine::{finish, join, Counters, Trouble},
    fixture::{skip, trials, virtual_card, Bench},
    hog::Hog,
    holdings::{fill_vram, use_while, Holdings, SIZE},
    kmsg::Log,
    marked::Marked,
    nodes::pci_folder,
    patience::eventually,
    stats::await_zeroed,
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        the_engine_goes_on_after_a_reset_nobody_told_of,
        everything_survives_a_reset_of_the_function,
        everything_survives_a_reset_of_the_bus,
        a_reset_without_memory_to_save_vram_keeps_it,
        what_is_lost_without_power_reads_zeroes_and_says_so,
        what_comes_to_vram_during_a_reset_is_not_lost_with_it,
        jobs_that_have_ended_are_not_done_again_after_a_reset,
        clients_go_on_while_the_card_is_reset_over_and_over,
        what_is_free_when_power_is_lost_is_not_taken_for_zero,
        what_is_freed_around_a_reset_is_zeroed,
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

/// Takes the card's power away for a moment, and has the driver find out.
fn lose_power(bench: &Bench) -> Result<()> {
    // What this buffer holds is lost, too.
    let probe = bench.card.create(Create::new(4096, Domains::VRAM))?;
    finish(&probe)?;
    // It comes up anew, and was never away for longer than the driver looks.
    config(bench)?.keep(|| Ok(virtual_card()?.set_gone(false)?))?;
    // The watchdog looks at the card when it has something to do.
    probe.move_to(Domain::Gtt)?;
    finish(&probe)
}

fn what_is_lost_without_power_reads_zeroes_and_says_so(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    let mut held = Holdings::create(&bench.card)?;
    let mut log = Log::from_now()?;

    lose_power(bench)?;
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

fn counter(name: &str) -> Result<u64> {
    Ok(virtual_card()?.counter(name)?)
}

fn what_comes_to_vram_during_a_reset_is_not_lost_with_it(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    let config = config(bench)?;
    let gtt = Create::new(SIZE, Domains::GTT).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let vram = Create::new(SIZE, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let marked = Marked::create(&bench.card, gtt, 5)?;
    let mut was_in_time = false;
    for _ in 0..10 {
        marked.buffer.move_to(Domain::Gtt)?;
        finish(&marked.buffer)?;
        let resets = counter("function_resets")?;
        let created = thread::scope(|scope| {
            let reset = scope.spawn(|| config.reset());
            eventually(|| {
                ensure!(counter("function_resets")? > resets, "no reset");
                Ok(())
            })?;
            // The kernel gives the card 100 ms from here on.
            marked.buffer.move_to(Domain::Vram)?;
            let created = bench.card.create(vram)?;
            let mut card = virtual_card()?;
            card.set_gone(true)?;
            card.set_gone(false)?;
            was_in_time = !reset.is_finished();
            join(reset)?;
            Ok::<_, anyhow::Error>(created)
        })?;
        if was_in_time {
            marked.check()?;
            ensure!(!marked.buffer.info()?.content_lost, "nothing was lost");
            let content = created.map()?.to_vec();
            ensure!(content.iter().all(|&byte| byte == 0), "it is not zero");
            ensure!(!created.info()?.content_lost, "there was nothing to lose");
            break;
        }
    }
    ensure!(was_in_time, "the resets were too fast");
    Ok(())
}

fn jobs_that_have_ended_are_not_done_again_after_a_reset(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    let room = bench.heap(Domain::Vram)?;
    let create = Create::new(1 << 20, Domains::VRAM);
    let count = room.usable / (1 << 20) - 4;
    let _full: Vec<_> = (0..count)
        .map(|_| Ok(bench.card.create(create)?))
        .collect::<Result<_>>()?;
    let small = Create::new(4096, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let from = bench.card.create(small)?;
    let to = bench.card.create(small)?;
    let config = config(bench)?;
    let mut log = Log::from_now()?;
    let rounds = 4;
    {
        // So VRAM cannot be saved, and the card is halted at once.
        let _hog = Hog::leave(count << 19)?;
        for round in 0..rounds {
            from.map()?.write(0, &[round; 4096]);
            finish(&to)?;
            let fills = counter("packets_fill")?;
            {
                // So the driver does not hear that the jobs have ended, for 100 ms.
                let _deaf = Trouble::new(Injection::LoseInterrupts { count: 100 })?;

                from.copy_to(0, &to, 0, 4096, &[])?;
                from.fill(0, 4096, u32::MAX, &[])?;
                while counter("packets_fill")? == fills {}
                config.reset()?;
            }
            finish(&to)?;
            ensure_holds(&to.map()?, &[round; 4096], &format!("round {round}"))?;
        }
    }
    log.wait_for("VRAM could not be saved before a reset", rounds.into())?;
    Ok(())
}

fn clients_go_on_while_the_card_is_reset_over_and_over(bench: &Bench) -> Result<()> {
    let config = config(bench)?;
    use_while(&bench.card, || (0..20).try_for_each(|_| config.reset()))
}

/// All that is free was zeroed, and has become anything.
fn what_is_free_when_power_is_lost_is_not_taken_for_zero(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    for _ in 0..3 {
        await_zeroed(&bench.card)?;
        let mut log = Log::from_now()?;
        let create = Create::new(1 << 20, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
        lose_power(bench)?;
        log.wait_for("behind the driver's back", 1)?;
        for number in 0..8 {
            let buffer = bench.card.create(create)?;
            let what = format!("buffer {number}");
            ensure_zero(&buffer.map()?, &what)?;
        }
    }
    Ok(())
}

/// By a reset that the driver hears of, and by one that it does not, with much that is not zero.
fn what_is_freed_around_a_reset_is_zeroed(bench: &Bench) -> Result<()> {
    const SECRET: u8 = 0xc7;

    Counters::read(&bench.card)?;
    let config = config(bench)?;
    let resets: [fn(&ConfigSpace) -> Result<()>; 2] =
        [ConfigSpace::reset, ConfigSpace::reset_function];
    let create = Create::new(1 << 20, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let soiled = || -> Result<Vec<_>> {
        let size = create.size as usize;
        (0..8)
            .map(|_| {
                let buffer = bench.card.create(create)?;
                buffer.map()?.write(0, &vec![SECRET; size]);
                Ok(buffer)
            })
            .collect()
    };
    let find = || -> Result<_> {
        Ok(virtual_card()?.find_vram(&[SECRET; 4096], 0, bench.device.vram_size, 1)?)
    };
    for reset in resets {
        let (before, after) = (soiled()?, soiled()?);
        ensure!(!find()?.is_empty(), "it never was in VRAM");
        // As slow that the engine is at it when the reset comes.
        let slow = Trouble::new(Injection::SlowDown { factor: 20 })?;
        drop(before);
        reset(&config)?;
        drop(slow);
        drop(after);
        await_zeroed(&bench.card)?;
        let found = find()?;
        ensure!(found.is_empty(), "it is still there: {found:#x?}");
    }
    Ok(())
}
