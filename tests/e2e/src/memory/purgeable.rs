// SPDX-License-Identifier: GPL-2.0

//! GEM_ADVISE: content that is not needed goes first when memory is short, and nothing else does.

use std::{
    fs::File,
    os::{fd::AsFd, unix::fs::FileExt},
};

use anyhow::{ensure, Result};
use libtest_mimic::Trial;
use pddgpu::{
    raw, virtual_card::pages::pattern, Advice, Buffer, Create, CreateFlags, Domain, Domains,
    Mapping,
};
use rustix::io::Errno;

use crate::support::{
    compare::{ensure_holds, ensure_same, ensure_zero},
    engine::finish,
    fdinfo::Fdinfo,
    fixture::{trials, Bench},
    meminfo::{drop_caches, meminfo},
    patience::eventually,
    prime,
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        content_stays_while_there_is_room,
        eviction_drops_what_is_not_needed,
        the_shrinker_drops_pages_without_swap,
        purged_memory_cannot_be_used,
        a_fault_takes_the_content_along,
        purged_buffers_work_again,
        shared_buffers_are_needed,
        fdinfo_tells_what_may_go,
        rejects_what_makes_no_sense,
    )
}

const SIZE: u64 = 1 << 20;

fn marked(bench: &Bench, domain: Domain) -> Result<(Buffer, Vec<u8>)> {
    let create = Create::new(SIZE, domain.into()).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let buffer = bench.card.create(create)?;
    let content = pattern(domain as u64 + 1, SIZE as usize);
    buffer.map()?.write(0, &content);
    Ok((buffer, content))
}

/// Takes all of VRAM.
fn fill_vram(bench: &Bench) -> Result<Buffer> {
    let usable = bench.heap(Domain::Vram)?.usable;
    let hog = bench.card.create(Create::new(usable, Domains::VRAM))?;
    finish(&hog)?;
    Ok(hog)
}

/// Whether the kernel could read the first byte of a mapping; a program would get SIGBUS.
fn is_readable(map: &Mapping) -> Result<bool> {
    let memory = File::open("/proc/self/mem")?;
    Ok(memory.read_at(&mut [0], map.as_ptr() as u64).is_ok())
}

fn content_stays_while_there_is_room(bench: &Bench) -> Result<()> {
    for domain in Domain::ALL {
        let (buffer, content) = marked(bench, domain)?;
        ensure!(buffer.advise(Advice::DontNeed)?, "{domain}: gone at once");
        ensure_holds(&buffer.map()?, &content, &format!("{domain}, not needed"))?;
        ensure!(buffer.advise(Advice::WillNeed)?, "{domain}: gone");
        ensure_holds(&buffer.map()?, &content, &format!("{domain}, needed"))?;
    }
    Ok(())
}

fn eviction_drops_what_is_not_needed(bench: &Bench) -> Result<()> {
    let (needed, content) = marked(bench, Domain::Vram)?;
    let (other, _) = marked(bench, Domain::Vram)?;
    let other_map = other.map()?;
    ensure!(other.advise(Advice::DontNeed)?);
    // Used last, and still the first to go.
    let half = bench.heap(Domain::Vram)?.usable - 2 * SIZE;
    let hog = bench.card.create(Create::new(half, Domains::VRAM))?;
    finish(&hog)?;
    let more = bench.card.create(Create::new(SIZE, Domains::VRAM))?;
    finish(&more)?;
    ensure!(
        needed.info()?.placement == Domain::Vram,
        "a buffer that is needed went first: {:?}",
        needed.info()?
    );
    ensure!(!is_readable(&other_map)?, "purged memory can be read");
    ensure!(other.info()?.purged, "GEM_INFO: {:?}", other.info()?);
    ensure!(!other.advise(Advice::DontNeed)?, "not purged");
    ensure!(!other.advise(Advice::WillNeed)?, "not purged");
    ensure!(other.advise(Advice::WillNeed)?, "told twice");
    ensure_zero(&other_map, "purged content")?;
    ensure_holds(&needed.map()?, &content, "what was needed")
}

fn the_shrinker_drops_pages_without_swap(bench: &Bench) -> Result<()> {
    for domain in [Domain::Gtt, Domain::Cpu] {
        let (needed, content) = marked(bench, domain)?;
        let before = meminfo("GPUActive")?;
        let (other, _) = marked(bench, domain)?;
        let map = other.map()?;
        other.advise(Advice::DontNeed)?;
        eventually(|| {
            drop_caches()?;
            let now = meminfo("GPUActive")?;
            ensure!(now <= before, "{domain}: {now} bytes, before {before}");
            Ok(())
        })?;
        ensure!(!is_readable(&map)?, "{domain}: purged memory can be read");
        ensure!(!other.advise(Advice::WillNeed)?, "{domain}: not purged");
        ensure_zero(&map, &format!("purged content in {domain}"))?;
        ensure_holds(&needed.map()?, &content, &format!("needed in {domain}"))?;
    }
    Ok(())
}

fn purged_memory_cannot_be_used(bench: &Bench) -> Result<()> {
    let (buffer, _) = marked(bench, Domain::Vram)?;
    let (other, _) = marked(bench, Domain::Gtt)?;
    buffer.advise(Advice::DontNeed)?;
    for purged in [false, true] {
        if purged {
            fill_vram(bench)?;
        }
        let results = [
            buffer.fill(0, 4, 1, &[]),
            buffer.copy_to(0, &other, 0, 4, &[]),
            other.copy_to(0, &buffer, 0, 4, &[]),
            buffer.move_to(Domain::Gtt),
        ];
        for (number, result) in results.into_iter().enumerate() {
            let errno = result.err().and_then(|error| error.errno());
            ensure!(errno == Some(Errno::FAULT), "{purged}, {number}: {errno:?}");
        }
    }
    ensure!(!buffer.advise(Advice::WillNeed)?, "not purged");
    buffer.fill(0, SIZE, 7, &[])?;
    buffer.move_to(Domain::Gtt)?;
    finish(&buffer)?;
    let mut word = [0; 4];
    buffer.map()?.read(0, &mut word);
    ensure!(word == [7, 0, 0, 0], "{word:?}");
    Ok(())
}

/// A move for the CPU is no eviction: nothing is dropped, and nothing of others' is seen.
fn a_fault_takes_the_content_along(bench: &Bench) -> Result<()> {
    // What others have left where the buffer comes to.
    let (other, _) = marked(bench, Domain::Vram)?;
    other.move_to(Domain::Gtt)?;
    finish(&other)?;
    let buffer = bench.card.create(Create::new(SIZE, Domains::VRAM))?;
    buffer.fill(0, SIZE, 0x0101_0101, &[])?;
    finish(&buffer)?;
    buffer.advise(Advice::DontNeed)?;
    let content = buffer.map()?.to_vec();
    ensure!(buffer.advise(Advice::WillNeed)?, "purged by a page fault");
    ensure_same(&content, &vec![1; SIZE as usize], "after a page fault")
}

fn purged_buffers_work_again(bench: &Bench) -> Result<()> {
    let (buffer, _) = marked(bench, Domain::Gtt)?;
    let before = meminfo("GPUActive")?;
    buffer.advise(Advice::DontNeed)?;
    eventually(|| {
        drop_caches()?;
        ensure!(meminfo("GPUActive")? + SIZE <= before, "not purged");
        Ok(())
    })?;
    ensure!(!buffer.advise(Advice::WillNeed)?, "not purged");
    buffer.fill(0, SIZE, 0x0202_0202, &[])?;
    for domain in [Domain::Gtt, Domain::Vram, Domain::Cpu] {
        buffer.move_to(domain)?;
        finish(&buffer)?;
        ensure_holds(
            &buffer.map()?,
            &vec![2; SIZE as usize],
            &format!("in {domain}"),
        )?;
    }
    Ok(())
}

fn shared_buffers_are_needed(bench: &Bench) -> Result<()> {
    let (buffer, _) = marked(bench, Domain::Gtt)?;
    buffer.advise(Advice::DontNeed)?;
    let result = prime::export(&buffer);
    ensure!(result.is_err(), "a dma-buf of what may go");
    buffer.advise(Advice::WillNeed)?;
    let shared = prime::export(&buffer)?;
    let errno = buffer
        .advise(Advice::DontNeed)
        .err()
        .and_then(|e| e.errno());
    ensure!(errno == Some(Errno::BUSY), "{errno:?}");
    buffer.advise(Advice::WillNeed)?;
    drop(shared);
    Ok(())
}

fn fdinfo_tells_what_may_go(bench: &Bench) -> Result<()> {
    let purgeable = || Fdinfo::of(bench.card.as_fd())?.bytes("drm-purgeable-vram");
    let (buffer, _) = marked(bench, Domain::Vram)?;
    ensure!(purgeable()? == 0);
    buffer.advise(Advice::DontNeed)?;
    ensure!(purgeable()? == SIZE, "{}", purgeable()?);
    buffer.advise(Advice::WillNeed)?;
    ensure!(purgeable()? == 0);
    buffer.advise(Advice::DontNeed)?;
    fill_vram(bench)?;
    ensure!(purgeable()? == 0, "{} are left after a purge", purgeable()?);
    ensure!(Fdinfo::of(bench.card.as_fd())?.bytes("drm-resident-vram")? == 0);
    Ok(())
}

fn rejects_what_makes_no_sense(bench: &Bench) -> Result<()> {
    let buffer = bench.card.create(Create::new(4096, Domains::GTT))?;
    for (handle, advice, pad, errno) in [
        (buffer.handle(), 2, 0, Errno::INVAL),
        (buffer.handle(), u32::MAX, 0, Errno::INVAL),
        (buffer.handle(), 0, 1, Errno::INVAL),
        (999, 1, 0, Errno::NOENT),
    ] {
        let mut args = raw::drm_pddgpu_gem_advise {
            handle,
            advice,
            pad,
            ..Default::default()
        };
        let result = bench.card.raw().gem_advise(&mut args);
        ensure!(result == Err(errno), "{advice}, {pad}: {result:?}");
    }
    Ok(())
}
