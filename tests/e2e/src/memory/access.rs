// SPDX-License-Identifier: GPL-2.0

//! Another process's look into a mapping: what a debugger does.

use std::{
    fs::OpenOptions,
    os::unix::fs::FileExt,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use anyhow::{anyhow, ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{virtual_card::pages, Card, Create, CreateFlags, Domain};
use rustix::io::Errno;

use crate::support::{
    child::{self, Child, Part},
    compare::{ensure_holds, ensure_same},
    driver::Driver,
    fixture::{trials, Bench},
    prime,
};

pub fn tests() -> Vec<Trial> {
    let mut tests = trials!(card_trial:
        reads_another_processs_buffers,
        writes_through_the_kernel,
        writes_nothing_that_is_mapped_to_be_read,
        reads_nothing_that_has_not_arrived,
    );
    tests.extend(trials!(driver_trial: finds_nothing_when_the_card_is_gone));
    tests
}

fn reads_another_processs_buffers(bench: &Bench) -> Result<()> {
    let mut child = Child::start(Part::Hold, bench.card.path(), None)?;
    let places = child.listen()?;
    let memory = OpenOptions::new()
        .read(true)
        .open(format!("/proc/{}/mem", child.pid()))?;
    for (domain, place) in Domain::ALL.into_iter().zip(places.split(' ')) {
        let mut bytes = vec![0; child::SIZE];
        memory
            .read_exact_at(&mut bytes, place.parse()?)
            .with_context(|| domain.to_string())?;
        ensure_same(
            &bytes,
            &vec![child::BYTE; child::SIZE],
            &format!("a buffer in {domain}"),
        )?;
    }
    child.finish()
}

fn writes_through_the_kernel(bench: &Bench) -> Result<()> {
    let memory = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/proc/self/mem")?;
    for domain in Domain::ALL {
        let create = Create::new(5 * 4096, domain.into()).flags(CreateFlags::CPU_ACCESS_REQUIRED);
        let buffer = bench.card.create(create)?;
        let map = buffer.map()?;
        let mut content = pages::pattern(700, map.len());
        let start = map.as_ptr() as usize as u64;
        memory
            .write_all_at(&content, start)
            .with_context(|| domain.to_string())?;
        // Neither at a page's start nor at its end, and across two of them.
        memory
            .write_all_at(b"across", start + 4093)
            .with_context(|| domain.to_string())?;
        content[4093..][..6].copy_from_slice(b"across");
        ensure_holds(&map, &content, &format!("a buffer in {domain}"))?;
        let mut bytes = [0; 6];
        memory.read_exact_at(&mut bytes, start + 4093)?;
        ensure!(&bytes == b"across", "{domain}: {bytes:?}");
    }
    Ok(())
}

/// Whatever else moves the buffer at the same time.
fn reads_nothing_that_has_not_arrived(bench: &Bench) -> Result<()> {
    const BYTE: u8 = 0xaa;
    let memory = OpenOptions::new().read(true).open("/proc/self/mem")?;
    let create =
        Create::new(256 << 10, Domain::Vram.into()).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let buffer = bench.card.create(create)?;
    let mut map = buffer.map()?;
    map.write(0, &vec![BYTE; map.len()]);
    let (start, len) = (map.as_ptr() as usize as u64, map.len());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let mover = scope.spawn(|| {
            let result =
                (0..300).try_for_each(|turn| buffer.move_to([Domain::Gtt, Domain::Vram][turn % 2]));
            done.store(true, Relaxed);
            result
        });
        let mut bytes = vec![0; len];
        while !done.load(Relaxed) {
            memory.read_exact_at(&mut bytes, start)?;
            let other = bytes.iter().position(|&byte| byte != BYTE);
            ensure!(other.is_none(), "at {other:x?} there is something else");
        }
        mover.join().map_err(|_| anyhow!("a thread panicked"))??;
        Ok(())
    })
}

/// As for any other shared mapping, whoever asks.
fn writes_nothing_that_is_mapped_to_be_read(bench: &Bench) -> Result<()> {
    let memory = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/proc/self/mem")?;
    for domain in Domain::ALL {
        let create = Create::new(2 * 4096, domain.into()).flags(CreateFlags::CPU_ACCESS_REQUIRED);
        let buffer = bench.card.create(create)?;
        let mut map = buffer.map()?;
        map.write(0, b"unchanged");
        let read_only = prime::map_read_only(prime::export_read_only(&buffer)?, map.len())?;
        let at = read_only.start() as u64;
        let result = memory.write_at(b"overwritten", at);
        ensure!(result.is_err(), "{domain}: {result:?}");
        let mut found = [0; 9];
        memory.read_exact_at(&mut found, at)?;
        ensure!(&found == b"unchanged", "{domain}: {found:?}");
    }
    Ok(())
}

fn finds_nothing_when_the_card_is_gone(driver: &Driver) -> Result<()> {
    let card = Card::find()?;
    let memory = OpenOptions::new().read(true).open("/proc/self/mem")?;
    let maps = Domain::ALL.map(|domain| {
        let create = Create::new(4096, domain.into()).flags(CreateFlags::CPU_ACCESS_REQUIRED);
        Ok::<_, anyhow::Error>((domain, card.create(create)?.map()?))
    });
    driver.unbind()?;
    for map in maps {
        let (domain, map) = map?;
        let result = memory.read_at(&mut [0; 8], map.as_ptr() as usize as u64);
        let error = result.as_ref().err().and_then(Errno::from_io_error);
        ensure!(error == Some(Errno::IO), "{domain}: {result:?}");
    }
    Ok(())
}
