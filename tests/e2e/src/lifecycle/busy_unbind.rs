// SPDX-License-Identifier: GPL-2.0

//! The card taken away from the driver while it has much to do, and while clients wait for it.

use std::{sync::mpsc, thread};

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{
    virtual_card::Injection, Buffer, Card, Create, CreateFlags, Deadline, Domain, Domains,
};
use rustix::io::Errno;

use crate::support::{
    child::{Child, Part},
    driver::{self, Driver},
    engine::{finish, join, Counters, Trouble},
    fixture::{skip, trials, virtual_card},
    kmsg::Log,
    patience::{await_fence_wait, eventually},
    stats::await_zeroed,
};

/// How much slower than it could the engine is: each packet takes half a second, however small.
const SLOW: u64 = 50_000;

/// Packets that a card so slow may execute while the driver lets go of it. There are far more to
/// execute.
const FEW: u64 = 8;

/// What clients' buffers hold in the tests of what is left of them.
const PATTERN: &[u8; 16] = b"unbind-me-softly";

pub fn tests() -> Vec<Trial> {
    trials!(driver_trial:
        an_unbind_waits_for_no_move,
        an_unbind_waits_for_no_call,
        buffers_may_be_freed_just_before,
        a_client_may_exit_at_the_same_time,
        nothing_of_clients_is_left_in_vram,
        nothing_is_left_by_an_engine_that_hangs,
        what_a_slow_engine_leaves_is_named,
    )
}

fn packets() -> Result<u64> {
    let mut card = virtual_card()?;
    Ok(card.counter("packets_copy")? + card.counter("packets_fill")?)
}

/// Unbinds a card that has been slowed down, and checks that it was not waited for.
fn unbind_at_once(driver: &Driver) -> Result<()> {
    let before = packets()?;
    driver.unbind()?;
    let done = packets()? - before;
    ensure!(done < FEW, "the card executed {done} packets meanwhile");
    Ok(())
}

/// Buffers in GTT, with content.
fn buffers(card: &Card, count: usize) -> Result<Vec<Buffer>> {
    (0..count)
        .map(|_| {
            let buffer = card.create(Create::new(1 << 20, Domains::GTT))?;
            buffer.map()?.write(0, &[1; 4096]);
            Ok(buffer)
        })
        .collect()
}

fn an_unbind_waits_for_no_move(driver: &Driver) -> Result<()> {
    let card = Card::find()?;
    Counters::read(&card)?;
    let buffers = buffers(&card, 12)?;
    let slow = Trouble::new(Injection::SlowDown { factor: SLOW })?;
    for buffer in &buffers {
        buffer.move_to(Domain::Vram)?;
    }
    unbind_at_once(driver)?;
    drop(slow);
    drop((buffers, card));
    driver.bind().context("bind")
}

/// How a client waits for the card. Returns the error that the call ended with.
type Wait = fn(&Buffer) -> Result<Option<Errno>>;

fn an_unbind_waits_for_no_call(driver: &Driver) -> Result<()> {
    let wait: Wait = |buffer| Ok(errno(buffer.wait(Deadline::NEVER)));
    let touch: Wait = |buffer| {
        buffer.map()?.to_vec();
        // There is no error: what is read after the card has gone is nobody's memory.
        Ok(Some(Errno::NODEV))
    };
    for (name, call) in [("GEM_WAIT", wait), ("a fault", touch)] {
        interrupt(driver, call).context(name)?;
    }
    Ok(())
}

fn errno<T>(result: pddgpu::Result<T>) -> Option<Errno> {
    result.err().and_then(|error| error.errno())
}

/// Unbinds while a call waits, which has to end with `ENODEV`.
fn interrupt(driver: &Driver, call: Wait) -> Result<()> {
    let card = Card::find()?;
    Counters::read(&card)?;
    let create = Create::new(1 << 20, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let buffer = card.create(create)?;
    finish(&buffer)?;
    let slow = Trouble::new(Injection::SlowDown { factor: SLOW })?;
    buffer.move_to(Domain::Gtt)?;
    drop(card.create(create)?);
    let (began, begun) = mpsc::channel();
    let result = thread::scope(|scope| {
        let client = scope.spawn(move || {
            began.send(rustix::thread::gettid())?;
            let errno = call(&buffer)?;
            ensure!(errno == Some(Errno::NODEV), "{errno:?}");
            Ok(())
        });
        let tid = begun.recv()?.as_raw_nonzero();
        await_fence_wait(&format!("/proc/self/task/{tid}"))?;
        unbind_at_once(driver)?;
        join(client)
    });
    drop(slow);
    result?;
    drop(card);
    driver.bind().context("bind")
}

/// What they leave is not zeroed yet when the device is gone.
fn buffers_may_be_freed_just_before(driver: &Driver) -> Result<()> {
    for factor in [SLOW, 50] {
        let card = Card::find()?;
        Counters::read(&card)?;
        let create = Create::new(4096, Domains::VRAM);
        let buffers: Vec<_> = (0..500)
            .map(|_| card.create(create))
            .collect::<pddgpu::Result<_>>()?;
        finish(buffers.last().context("no buffers")?)?;
        let slow = Trouble::new(Injection::SlowDown { factor })?;
        drop(buffers);
        drop(card);
        driver.unbind()?;
        eventually(|| Ok(driver::unload()?)).context("unload")?;
        drop(slow);
        driver::load()?;
    }
    Ok(())
}

fn a_client_may_exit_at_the_same_time(driver: &Driver) -> Result<()> {
    for _ in 0..3 {
        let node = Card::find()?.path().to_owned();
        let mut child = Child::start(Part::Hoard, &node, None)?;
        child.listen()?;
        thread::scope(|scope| {
            let killer = scope.spawn(|| child.kill());
            driver.unbind()?;
            killer
                .join()
                .map_err(|_| anyhow::anyhow!("a thread panicked"))??;
            Ok::<_, anyhow::Error>(())
        })?;
        driver.bind().context("bind")?;
    }
    Ok(())
}

/// Fills buffers with a pattern, in all of VRAM that there is, as far as the CPU can reach it.
fn fill(card: &Card) -> Result<Vec<Buffer>> {
    let size = 1 << 20;
    let heap = &card.heaps()?[0];
    let create = Create::new(size, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let count = (heap.visible_total.min(16 << 20) / size).saturating_sub(2);
    (0..count)
        .map(|_| {
            let buffer = card.create(create)?;
            let mut map = buffer.map()?;
            let bytes = PATTERN.repeat(map.len() / PATTERN.len());
            map.write(0, &bytes);
            Ok(buffer)
        })
        .collect()
}

fn find(vram: u64) -> Result<Vec<u64>> {
    Ok(virtual_card()?.find_vram(PATTERN, 0, vram, 5)?)
}

fn ensure_wiped(vram: u64) -> Result<()> {
    let found = find(vram)?;
    ensure!(found.is_empty(), "still there: {found:#x?}");
    Ok(())
}

fn nothing_of_clients_is_left_in_vram(driver: &Driver) -> Result<()> {
    let card = Card::find()?;
    let vram = card.device()?.vram_size;
    let buffers = fill(&card)?;
    let found = find(vram)?;
    ensure!(!found.is_empty(), "the pattern never was in VRAM");
    driver.unbind()?;
    ensure_wiped(vram)?;
    drop((buffers, card));
    driver.bind().context("bind")
}

fn nothing_is_left_by_an_engine_that_hangs(driver: &Driver) -> Result<()> {
    let card = Card::find()?;
    Counters::read(&card)?;
    let vram = card.device()?.vram_size;
    let mut buffers = fill(&card)?;
    let _trouble = Trouble::new(Injection::Hang {
        packets: 0,
        bytes: 4096,
    })?;
    // Its wipe hangs, and the others behind it.
    buffers.truncate(buffers.len() / 2);
    driver.unbind()?;
    ensure_wiped(vram)?;
    drop((buffers, card));
    driver.bind().context("bind")
}

/// Memory that is freed just before an unbind, and that the engine has no time to zero: what the CPU can
/// reach it zeroes, the log tells of the rest, and that is zeroed when the card is bound again.
fn what_a_slow_engine_leaves_is_named(driver: &Driver) -> Result<()> {
    const SIZE: u64 = 2 << 20;

    let card = Card::find()?;
    Counters::read(&card)?;
    let device = card.device()?;
    if device.vram_size - device.visible_size < 4 * SIZE {
        return skip("all of this card's VRAM is visible");
    }
    let mut buffers = Vec::new();
    for flag in [CreateFlags::CPU_ACCESS_REQUIRED, CreateFlags::NO_CPU_ACCESS] {
        let create = Create::new(SIZE, Domains::VRAM).flags(flag | CreateFlags::VRAM_CONTIGUOUS);
        let buffer = card.create(create)?;
        finish(&buffer)?;
        let start = buffer.info()?.gpu_addr.context("not one range")? - device.vram_start;
        virtual_card()?.write_vram(start, &PATTERN.repeat(SIZE as usize / PATTERN.len()))?;
        buffers.push(buffer);
    }
    let mut log = Log::from_now()?;
    let slow = Trouble::new(Injection::SlowDown { factor: SLOW })?;
    drop(buffers);
    drop(card);
    driver.unbind()?;
    let left = find(device.vram_size)?;
    ensure!(
        left.iter().all(|&at| at >= device.visible_size),
        "the CPU could reach {left:#x?}"
    );
    ensure!(!left.is_empty(), "the engine was not slow");
    log.wait_for("bytes of VRAM that the CPU cannot reach may keep", 1)?;
    drop(slow);
    driver.bind().context("bind")?;
    await_zeroed(&Card::find()?)?;
    ensure_wiped(device.vram_size)
}
