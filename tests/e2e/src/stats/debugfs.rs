// SPDX-License-Identifier: GPL-2.0

//! What root can read about the card.

use std::{fs, os::unix::fs::PermissionsExt, process};

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{gem_list, Buffer, Card, Create, CreateFlags, Domain, Domains};
use rustix::io::Errno;

use crate::support::{
    driver::Driver,
    engine::finish,
    fixture::{trials, Bench},
    patience::eventually,
    stats::Setting,
};

const REPORTS: [&str; 7] = [
    "pddgpu_engine",
    "pddgpu_gem_info",
    "pddgpu_owners",
    "pddgpu_vram_mm",
    "pddgpu_gtt_mm",
    "pddgpu_memory_stats",
    "pddgpu_leaks",
];
const COMMANDS: [&str; 2] = ["pddgpu_vram_reserve", "pddgpu_stats_reset"];

pub fn tests() -> Vec<Trial> {
    let mut tests = trials!(card_trial:
        is_for_root_only,
        lists_what_gem_info_tells,
        lists_buffers_without_a_handle,
        tells_clients_apart,
        managers_tell_of_their_use,
    );
    tests.extend(trials!(driver_trial: tells_what_became_of_a_reservation));
    tests
}

fn is_for_root_only(bench: &Bench) -> Result<()> {
    let reports = REPORTS.map(|name| (name, 0o400));
    let commands = COMMANDS.map(|name| (name, 0o200));
    let settings = Setting::ALL.map(|setting| (setting.file(), 0o600));
    for (name, wanted) in reports.into_iter().chain(commands).chain(settings) {
        let path = gem_list::debugfs_dir(&bench.card)?.join(name);
        let mode = fs::metadata(&path)
            .with_context(|| path.display().to_string())?
            .permissions();
        ensure!(mode.mode() & 0o777 == wanted, "{name}: {:o}", mode.mode());
    }
    Ok(())
}

/// Checks the line of a buffer. The first one has a label and a dma-buf.
fn ensure_listed(own: &gem_list::Client, buffer: &Buffer, is_first: bool) -> Result<()> {
    let entry = own
        .buffers
        .iter()
        .find(|entry| entry.handle == Some(buffer.handle()))
        .with_context(|| format!("handle {} is not listed", buffer.handle()))?;
    let info = buffer.info()?;
    ensure!(
        entry.size == info.size && entry.domains == info.domains,
        "{entry:?} {info:?}"
    );
    ensure!(
        entry.placement == Some(info.placement),
        "{entry:?} {info:?}"
    );
    ensure!(entry.visible == info.visible, "{entry:?} {info:?}");
    ensure!(entry.gpu_addr == info.gpu_addr, "{entry:?} {info:?}");
    ensure!(
        entry.flags == info.flags && entry.pins == 0,
        "{entry:?} {info:?}"
    );
    let offset = buffer.mmap_offset().map_or(entry.mmap_offset, u64::from);
    ensure!(entry.mmap_offset == offset, "{entry:?}: {offset:#x}");
    ensure!(entry.dma_buf.is_some() == is_first, "{entry:?}");
    let label = if is_first { "two words" } else { "" };
    ensure!(entry.label == label, "{entry:?}");
    Ok(())
}

fn lists_what_gem_info_tells(bench: &Bench) -> Result<()> {
    let mut buffers = Vec::new();
    for domains in [Domains::VRAM, Domains::GTT, Domains::CPU, Domains::all()] {
        for flags in [
            CreateFlags::empty(),
            CreateFlags::NO_CPU_ACCESS | CreateFlags::VRAM_CONTIGUOUS,
            CreateFlags::CPU_ACCESS_REQUIRED | CreateFlags::VRAM_CLEARED,
        ] {
            buffers.push(
                bench
                    .card
                    .create(Create::new(20_000, domains).flags(flags))?,
            );
        }
    }
    buffers[0].move_to(Domain::Gtt)?;
    buffers[0].set_label(c"two words")?;
    let _file = buffers[0].export(true)?;

    let clients = gem_list::read(&bench.card)?;
    let own = clients
        .iter()
        .find(|client| client.pid == Some(process::id()) && !client.buffers.is_empty())
        .with_context(|| format!("this process is not listed: {clients:?}"))?;
    ensure!(
        own.command
            .as_deref()
            .is_some_and(|c| c.starts_with("pddgpu-e2e")),
        "{own:?}"
    );
    ensure!(own.buffers.len() == buffers.len(), "{own:?}");
    for (index, buffer) in buffers.iter().enumerate() {
        ensure_listed(own, buffer, index == 0)?;
    }
    let mut ids: Vec<_> = own.buffers.iter().map(|entry| entry.id).collect();
    ids.sort_unstable();
    ids.dedup();
    ensure!(ids.len() == buffers.len(), "{own:?}");
    Ok(())
}

fn lists_buffers_without_a_handle(bench: &Bench) -> Result<()> {
    let buffer = bench.card.create(Create::new(12288, Domains::GTT))?;
    let map = buffer.map()?;
    buffer.close()?;
    let clients = gem_list::read(&bench.card)?;
    let left: Vec<_> = clients
        .iter()
        .filter(|c| c.id.is_none())
        .flat_map(|c| &c.buffers)
        .collect();
    ensure!(left.len() == 1, "{clients:?}");
    ensure!(
        left[0].size == 12288 && left[0].handle.is_none(),
        "{left:?}"
    );
    ensure!(left[0].placement == Some(Domain::Gtt), "{left:?}");
    drop(map);
    Ok(())
}

fn tells_clients_apart(bench: &Bench) -> Result<()> {
    let other = Card::open(bench.card.path())?;
    let _own = bench.card.create(Create::new(4096, Domains::CPU))?;
    let _theirs = other.create(Create::new(8192, Domains::CPU))?;
    let clients = gem_list::read(&bench.card)?;
    let mut ids: Vec<_> = clients.iter().filter_map(|client| client.id).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    ensure!(ids.len() == count, "two clients of one number: {clients:?}");
    for size in [4096, 8192] {
        let owners = clients
            .iter()
            .filter(|c| c.buffers.iter().any(|b| b.size == size));
        ensure!(owners.count() == 1, "{size}: {clients:?}");
    }
    Ok(())
}

/// A manager's text but for the blocks in which memory is free, and how much of it is known to be
/// zero: that depends on what was freed before.
fn without_blocks(text: &str) -> Vec<&str> {
    let lines = text.lines().filter(|line| {
        let varying = ["order-", "being zeroed:", "free and not zero:"];
        !varying.iter().any(|start| line.starts_with(start))
    });
    lines
        .map(|line| line.split(", clear_free").next().unwrap_or(line))
        .collect()
}

/// The managers' text is for people; that it is there, and changes with what is in use, will do.
fn managers_tell_of_their_use(bench: &Bench) -> Result<()> {
    let folder = gem_list::debugfs_dir(&bench.card)?;
    for (name, domains) in [
        ("pddgpu_vram_mm", Domains::VRAM),
        ("pddgpu_gtt_mm", Domains::GTT),
    ] {
        let idle = fs::read_to_string(folder.join(name))?;
        ensure!(idle.contains("size:"), "{name}: {idle}");
        let buffer = bench.card.create(Create::new(3 << 20, domains))?;
        let used = fs::read_to_string(folder.join(name))?;
        ensure!(used != idle, "{name} says nothing of 3 MiB in use: {used}");
        buffer.close()?;
        eventually(|| {
            let after = fs::read_to_string(folder.join(name))?;
            ensure!(
                without_blocks(&after) == without_blocks(&idle),
                "{name}: {after} was {idle}"
            );
            Ok(())
        })?;
    }
    Ok(())
}

fn tells_what_became_of_a_reservation(driver: &Driver) -> Result<()> {
    let result = reserve_and_ask(&Card::find()?);
    // Reservations are for as long as the driver has the card.
    driver.unbind()?;
    driver.bind().context("bind")?;
    result
}

fn reserve_and_ask(card: &Card) -> Result<()> {
    let path = gem_list::debugfs_dir(card)?.join("pddgpu_vram_reserve");
    let ensure_answer = |words: &str, wanted: Result<(), Errno>| {
        let answer = fs::write(&path, words).map_err(|error| Errno::from_io_error(&error));
        ensure!(
            answer == wanted.map_err(Some),
            "'{words}': {answer:?}, not {wanted:?}"
        );
        Ok(())
    };
    let device = card.device()?;

    let free = device.vram_size / 2;
    ensure_answer(&format!("{free}"), Err(Errno::NOENT))?;
    ensure_answer(&format!("{free} 8192"), Ok(()))?;
    for (offset, wanted) in [(0, Ok(())), (8191, Ok(())), (8192, Err(Errno::NOENT))] {
        ensure_answer(&format!("{:#x}", free + offset), wanted)?;
    }
    ensure_answer(&format!("{} 8192", free + 4096), Err(Errno::EXIST))?;

    let flags = CreateFlags::VRAM_CONTIGUOUS;
    let buffer = card.create(Create::new(1 << 20, Domains::VRAM).flags(flags))?;
    finish(&buffer)?;
    let used = buffer.info()?.gpu_addr.context("no address")? - device.vram_start + 4096;
    ensure_answer(&format!("{used} 4096"), Ok(()))?;
    ensure_answer(&format!("{used}"), Err(Errno::BUSY))?;
    buffer.close()?;
    eventually(|| ensure_answer(&format!("{used}"), Ok(())))?;

    let last = u64::MAX - 4095;
    for words in [" ", "here", "0 4096 4096", "1 4096", "0 0", "0 -4096"] {
        ensure_answer(words, Err(Errno::INVAL))?;
    }
    ensure_answer(&format!("{last} 8192"), Err(Errno::INVAL))?;
    ensure_answer(&format!("{} 4096", device.vram_size), Err(Errno::INVAL))
}
