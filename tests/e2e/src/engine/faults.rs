// SPDX-License-Identifier: GPL-2.0

//! What can go wrong with the copy engine, in the middle of moves: no byte of a buffer is lost, and nobody
//! waits for ever.

use std::time::Duration;

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{
    virtual_card::{pages, Injection},
    Buffer, Card, Create, CreateFlags, Deadline, Domain, Domains, Features, Mapping,
};
use rustix::io::Errno;

use crate::support::{
    child::{Child, Part},
    compare::ensure_holds,
    driver::Driver,
    engine::{finish, gart_entry, is_busy, Counters, Trouble},
    fixture::{trials, virtual_card, Bench},
    kmsg::Log,
    nodes::use_every_ioctl,
    patience::eventually,
    stats::vram_reserve,
    uevent::Uevents,
};

/// The register whose writes have the GART forget what it knows.
const GART_FLUSH: u64 = 0x118;

/// How much slower than it could the engine is where a test has to be in time for a certain packet: each
/// takes half a second, however small. The driver resets an engine that does nothing for three.
const IN_TIME: u64 = 50_000;

/// Failures of one job after which the driver gives the engine up.
const MAX_FAILURES: u64 = 3;

/// Bytes of buffers that are moved: more than both transfer windows hold.
const LARGE: u64 = 5 << 20;

pub fn tests() -> Vec<Trial> {
    let mut tests = trials!(card_trial:
        a_hang_is_recovered_from,
        a_bad_packet_is_recovered_from,
        a_fault_is_recovered_from,
        lost_interrupts_are_made_up_for,
        an_error_without_its_interrupt_is_recovered_from,
        a_wait_finds_what_is_done_at_its_deadline,
    );
    tests.extend(trials!(driver_trial:
        a_card_that_fails_time_and_again_is_given_up,
        the_card_may_go_in_the_middle_of_moves,
        the_card_may_go_while_its_engine_hangs,
        pages_that_lose_their_content_are_withheld,
        every_error_of_a_batch_is_heard,
        the_driver_repairs_its_own_memory,
    ));
    tests
}

/// A buffer of [`LARGE`] bytes with content, in VRAM.
fn large(bench: &Bench, seed: u64) -> Result<(Buffer, Mapping, Vec<u8>)> {
    let create = Create::new(LARGE, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let buffer = bench.card.create(create)?;
    let mut map = buffer.map()?;
    let content = pages::pattern(seed, map.len());
    map.write(0, &content);
    finish(&buffer)?;
    Ok((buffer, map, content))
}

/// What the driver's log says of the engine.
fn complaints(log: &mut Log) -> Result<Vec<String>> {
    let mut errors = log.errors()?;
    errors.retain(|line| line.contains("copy engine"));
    Ok(errors)
}

/// Moves a buffer out of VRAM and back with a mishap each time, and checks that nothing is lost, and what
/// the driver makes of it.
fn recover(bench: &Bench, mishaps: &[Injection], why: &str, how: &str) -> Result<()> {
    Counters::read(&bench.card)?;
    let (buffer, map, content) = large(bench, 7000)?;
    for &mishap in mishaps {
        for domain in [Domain::Gtt, Domain::Vram] {
            let before = Counters::read(&bench.card)?;
            let mut log = Log::from_now()?;
            let _trouble = Trouble::new(mishap)?;
            buffer.move_to(domain)?;
            finish(&buffer)?;
            ensure_holds(&map, &content, &format!("{mishap:?}, to {domain}"))?;
            let done = Counters::read(&bench.card)? - before;
            ensure!(
                (done.copies, done.copied, done.resets, done.wedged) == (1, LARGE, 1, 0),
                "{mishap:?}, to {domain}: {done:?}"
            );
            let lines = complaints(&mut log)?;
            ensure!(
                lines.len() == 1 && lines[0].contains(why) && lines[0].contains(how),
                "{mishap:?}: not '{why}' and '{how}': {lines:?}"
            );
        }
    }
    Ok(())
}

fn a_hang_is_recovered_from(bench: &Bench) -> Result<()> {
    let hang = |packets, bytes| Injection::Hang { packets, bytes };
    let mishaps = [hang(0, 0), hang(0, (1 << 20) + 4), hang(1, 12 << 10)];
    recover(bench, &mishaps, "timeout", "resetting")
}

fn a_bad_packet_is_recovered_from(bench: &Bench) -> Result<()> {
    let mishaps = [0, 1, 2, 3].map(|packets| Injection::Corrupt { packets });
    recover(bench, &mishaps, "error", "restarting")
}

/// Something overwrites the GART's table.
fn a_fault_is_recovered_from(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    let (buffer, map, content) = large(bench, 7100)?;
    buffer.move_to(Domain::Gtt)?;
    finish(&buffer)?;
    let before = Counters::read(&bench.card)?;
    let mut log = Log::from_now()?;
    let info = buffer.info()?;
    let page = 700;
    {
        let mut card = virtual_card()?;
        let entry = gart_entry(bench, &mut card, &info)? + 8 * page;
        card.write_vram(entry, &[0; 8])?;
        card.write_reg(GART_FLUSH, 4, 1)?;
    }
    buffer.move_to(Domain::Vram)?;
    finish(&buffer)?;
    ensure_holds(&map, &content, "moved through a broken table")?;
    let done = Counters::read(&bench.card)? - before;
    ensure!(
        (done.copies, done.faults, done.resets) == (1, 1, 1),
        "{done:?}"
    );
    let address = info.gpu_addr.context("no address")? + page * pages::PAGE as u64;
    let wanted = format!("fault at GPU address {address:#x}");
    log.wait_for(&wanted, 1)?;
    Ok(())
}

fn lost_interrupts_are_made_up_for(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    let (buffer, map, content) = large(bench, 7200)?;
    for domain in [Domain::Gtt, Domain::Vram, Domain::Cpu, Domain::Vram] {
        let before = Counters::read(&bench.card)?;
        let _trouble = Trouble::new(Injection::LoseInterrupts { count: 100 })?;
        buffer.move_to(domain)?;
        finish(&buffer)?;
        ensure_holds(&map, &content, &format!("to {domain}"))?;
        let done = Counters::read(&bench.card)? - before;
        ensure!(done.copies == 1 && done.resets == 0, "{domain}: {done:?}");
        ensure!(done.polled > 0, "who found it? {domain}: {done:?}");
    }
    Ok(())
}

fn an_error_without_its_interrupt_is_recovered_from(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    let (buffer, map, content) = large(bench, 7250)?;
    for domain in [Domain::Gtt, Domain::Vram] {
        let before = Counters::read(&bench.card)?;
        let mut log = Log::from_now()?;
        let _trouble = Trouble::new(Injection::LoseInterrupts { count: 100 })?;
        virtual_card()?.inject(Injection::Corrupt { packets: 0 })?;
        buffer.move_to(domain)?;
        finish(&buffer)?;
        ensure_holds(&map, &content, &format!("to {domain}"))?;
        let done = Counters::read(&bench.card)? - before;
        ensure!((done.copies, done.resets) == (1, 1), "{domain}: {done:?}");
        let lines = complaints(&mut log)?;
        ensure!(
            lines.len() == 1 && lines[0].contains("error"),
            "{domain}: {lines:?}"
        );
    }
    Ok(())
}

/// Between two of the looks that the driver has at the engine anyway.
fn a_wait_finds_what_is_done_at_its_deadline(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    let create = Create::new(4096, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let buffer = bench.card.create(create)?;
    finish(&buffer)?;
    for turn in 0..10 {
        let _trouble = Trouble::new(Injection::LoseInterrupts { count: 1 })?;
        let fences = virtual_card()?.counter("packets_fence")?;
        let domain = [Domain::Gtt, Domain::Vram][turn % 2];
        buffer.move_to(domain)?;
        eventually(|| {
            let now = virtual_card()?.counter("packets_fence")?;
            ensure!(now > fences, "the card did not move it");
            Ok(())
        })?;
        // Before the driver looks of its own accord, 100 ms after it was asked to move; half of that is left
        // for the machine.
        let soon = Deadline::after(Duration::from_millis(80));
        ensure!(buffer.wait(soon)?, "turn {turn}: done, and not found");
    }
    Ok(())
}

fn ensure_errno<T: std::fmt::Debug>(
    what: &str,
    result: pddgpu::Result<T>,
    wanted: Errno,
) -> Result<()> {
    let errno = result.as_ref().err().and_then(|error| error.errno());
    ensure!(errno == Some(wanted), "{what}: {result:?}, not {wanted:?}");
    Ok(())
}

/// Binds the card anew and checks that it works like new.
fn rebind(driver: &Driver) -> Result<()> {
    driver.unbind()?;
    driver.bind().context("bind")?;
    check_works(driver)
}

fn check_works(driver: &Driver) -> Result<()> {
    ensure!(driver.is_bound(), "bound, but not there");
    let card = Card::find()?;
    // All of VRAM is zeroed when the driver is bound.
    let counters = Counters {
        clears: 0,
        cleared: 0,
        ..Counters::read(&card)?
    };
    ensure!(counters == Counters::default(), "not at 0: {counters:?}");
    use_every_ioctl(&card)?;
    let create = Create::new(LARGE, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let buffer = card.create(create)?;
    let mut map = buffer.map()?;
    let content = pages::pattern(7300, map.len());
    map.write(0, &content);
    for domain in [Domain::Gtt, Domain::Vram] {
        buffer.move_to(domain)?;
        ensure_holds(&map, &content, "on a card that was bound anew")?;
    }
    Ok(())
}

fn a_card_that_fails_time_and_again_is_given_up(driver: &Driver) -> Result<()> {
    let card = Card::find()?;
    Counters::read(&card)?;
    // Whatever becomes of it, the next test needs a card that works.
    let result = fail_for_good(card);
    let revived = rebind(driver);
    result.and(revived)
}

fn fail_for_good(card: Card) -> Result<()> {
    let mut log = Log::from_now()?;
    let events = Uevents::from_now()?;
    let create = Create::new(64 << 10, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let (moving, idle) = (card.create(create)?, card.create(create)?);
    let mut late = Child::start(Part::TouchLate, card.path(), None)?;
    late.listen()?;
    finish(&moving)?;
    let before = Counters::read(&card)?;
    let errors = virtual_card()?.counter("command_errors")?;
    {
        let _slow = Trouble::new(Injection::SlowDown { factor: IN_TIME })?;
        // The packet after the copy, which takes long enough each time.
        let bad = Injection::Corrupt { packets: 1 };
        virtual_card()?.inject(bad)?;
        moving.move_to(Domain::Gtt)?;
        for failure in 1..=MAX_FAILURES {
            eventually(|| {
                let now = virtual_card()?.counter("command_errors")? - errors;
                ensure!(now == failure, "{now} failures, not {failure}");
                Ok(())
            })?;
            if failure < MAX_FAILURES {
                virtual_card()?.inject(Injection::Corrupt { packets: 0 })?;
            }
        }
        ensure_errno("GEM_WAIT", moving.wait(Deadline::NEVER), Errno::IO)?;
    }
    let done = Counters::read(&card)? - before;
    ensure!((done.resets, done.wedged) == (MAX_FAILURES, 1), "{done:?}");
    log.wait_for("given up", 1)?;
    // What udev hears, for rules that bind the card anew.
    let event = events.wait_for("WEDGED=rebind")?;
    ensure!(event.contains(&"SUBSYSTEM=drm".to_owned()), "{event:?}");

    ensure_errno("GEM_MOVE", idle.move_to(Domain::Gtt), Errno::IO)?;
    ensure_errno("GEM_CREATE", card.create(create), Errno::IO)?;
    ensure_errno("GEM_WAIT", idle.wait(Deadline::PAST), Errno::IO)?;
    late.tell("touch")?;
    let signal = late.wait_for_signal()?;
    ensure!(signal == Some(SIGBUS), "ended by signal {signal:?}");
    card.create(Create::new(4096, Domains::CPU))
        .context("system memory needs no engine")?;
    Ok(())
}

/// The signal of a fault that memory cannot serve.
const SIGBUS: i32 = 7;

fn the_card_may_go_in_the_middle_of_moves(driver: &Driver) -> Result<()> {
    for _ in 0..3 {
        let card = Card::find()?;
        Counters::read(&card)?;
        let create = Create::new(2 << 20, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
        let mut buffers: Vec<_> = (0..4)
            .map(|_| {
                let buffer = card.create(create)?;
                let map = buffer.map()?;
                map.to_vec();
                Ok((buffer, map))
            })
            .collect::<Result<_>>()?;
        let slow = Trouble::new(Injection::SlowDown { factor: 2500 })?;
        for (buffer, _) in &buffers {
            buffer.move_to(Domain::Gtt)?;
        }
        buffers.pop();
        for (buffer, _) in &buffers {
            ensure!(is_busy(buffer)?, "moved by the time GEM_MOVE returned");
        }
        driver.unbind()?;
        for (buffer, map) in &mut buffers {
            ensure_errno("GEM_WAIT", buffer.wait(Deadline::NEVER), Errno::NODEV)?;
            map.write(0, &[1]);
            map.to_vec();
        }
        drop(slow);
        driver.bind().context("bind")?;
        check_works(driver)?;
        drop((buffers, card));
    }
    Ok(())
}

fn the_card_may_go_while_its_engine_hangs(driver: &Driver) -> Result<()> {
    let card = Card::find()?;
    Counters::read(&card)?;
    let create = Create::new(2 << 20, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let buffer = card.create(create)?;
    finish(&buffer)?;
    let _trouble = Trouble::new(Injection::Hang {
        packets: 0,
        bytes: 4096,
    })?;
    buffer.move_to(Domain::Gtt)?;
    driver.unbind()?;
    ensure_errno("GEM_WAIT", buffer.wait(Deadline::NEVER), Errno::NODEV)?;
    driver.bind().context("bind")?;
    drop((buffer, card));
    check_works(driver)
}

fn pages_that_lose_their_content_are_withheld(driver: &Driver) -> Result<()> {
    let card = Card::find()?;
    Counters::read(&card)?;
    let device = card.device()?;
    if !device.features.contains(Features::ECC) {
        return crate::support::fixture::skip("this card does not report memory errors");
    }
    let reserved = |card: &Card| Ok::<_, anyhow::Error>(card.heaps()?[0].reserved);
    let before = reserved(&card)?;
    let mut log = Log::from_now()?;

    // A free page, by any of its bytes.
    let free = device.vram_size / 2 + 3 * 4096;
    virtual_card()?.inject(Injection::Ecc { offset: free + 100 })?;
    log.wait_for(&format!("{free:#x}"), 1)?;
    eventually(|| {
        let now = reserved(&card)?;
        ensure!(
            now == before + 4096,
            "reserved: {now}, not {before} and a page"
        );
        Ok(())
    })?;
    let again = vram_reserve(&card, free, 4096);
    ensure!(again.is_err(), "the page could be reserved once more");
    virtual_card()?.inject(Injection::Ecc { offset: free })?;
    log.wait_for(&format!("{free:#x}, page was retired before"), 1)?;

    // One of a buffer's, once that is gone.
    let flags = CreateFlags::VRAM_CONTIGUOUS | CreateFlags::CPU_ACCESS_REQUIRED;
    let buffer = card.create(Create::new(1 << 20, Domains::VRAM).flags(flags))?;
    finish(&buffer)?;
    let used = buffer.info()?.gpu_addr.context("no address")? - device.vram_start + (64 << 10);
    virtual_card()?.inject(Injection::Ecc { offset: used })?;
    log.wait_for(&format!("{used:#x}"), 1)?;
    let now = reserved(&card)?;
    ensure!(now == before + 4096, "reserved under a buffer: {now}");
    buffer.close()?;
    eventually(|| {
        let now = reserved(&card)?;
        ensure!(
            now == before + 2 * 4096,
            "reserved: {now}, not {before} and two pages"
        );
        Ok(())
    })?;

    drop(card);
    rebind(driver)?;
    let now = reserved(&Card::find()?)?;
    ensure!(now == before, "a card bound anew has {now} reserved");
    Ok(())
}

/// Even if the card could not tell of each by itself.
fn every_error_of_a_batch_is_heard(driver: &Driver) -> Result<()> {
    const COUNT: u64 = 40;
    let card = Card::find()?;
    Counters::read(&card)?;
    let device = card.device()?;
    if !device.features.contains(Features::ECC) {
        return crate::support::fixture::skip("this card does not report memory errors");
    }
    let before = card.heaps()?[0].reserved;
    {
        let _deaf = Trouble::new(Injection::LoseInterrupts { count: COUNT - 1 })?;
        for page in 0..COUNT {
            let offset = device.vram_size / 2 + page * 8192;
            virtual_card()?.inject(Injection::Ecc { offset })?;
        }
    }
    eventually(|| {
        let now = card.heaps()?[0].reserved;
        ensure!(
            now == before + COUNT * 4096,
            "reserved: {now}, not {before} and {COUNT} pages"
        );
        Ok(())
    })?;
    drop(card);
    rebind(driver)
}

/// It has a copy of its GART table, and makes its rings anew.
fn the_driver_repairs_its_own_memory(driver: &Driver) -> Result<()> {
    let card = Card::find()?;
    let before = Counters::read(&card)?;
    if !card.device()?.features.contains(Features::ECC) {
        return crate::support::fixture::skip("this card does not report memory errors");
    }
    let reserved = card.heaps()?[0].reserved;
    let create = Create::new(LARGE, Domains::GTT);
    let buffer = card.create(create)?;
    let mut map = buffer.map()?;
    let content = pages::pattern(7350, map.len());
    map.write(0, &content);
    let mut log = Log::from_now()?;
    // A page loses its content with it: the first of the GART's table, and the last of the driver's.
    for offset in [8192, reserved - 4096] {
        virtual_card()?.inject(Injection::Ecc { offset })?;
    }
    log.wait_for("memory error in the driver's own VRAM", 1)?;
    for domain in [Domain::Vram, Domain::Gtt, Domain::Vram] {
        buffer.move_to(domain)?;
        finish(&buffer)?;
        ensure_holds(&map, &content, &format!("in {domain}"))?;
    }
    let done = Counters::read(&card)? - before;
    ensure!(done.resets > 0 && done.wedged == 0, "{done:?}");
    ensure!(
        card.heaps()?[0].reserved == reserved,
        "what the driver needs was retired"
    );
    drop((buffer, map, card));
    rebind(driver)
}
