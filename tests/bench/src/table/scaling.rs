// SPDX-License-Identifier: GPL-2.0

//! How the cost of an operation grows with what is there.

use std::fs;

use anyhow::{ensure, Context, Result};
use pddgpu::{gem_list, raw, Buffer, Card, Create, CreateFlags, Domain, Domains};

use super::{measure::Table, single::pair};

const PAGE: u64 = 4096;

fn create(card: &Card, count: usize, create: Create) -> Result<Vec<Buffer>> {
    let made: Result<Vec<_>, _> = (0..count).map(|_| card.create(create)).collect();

    Ok(made?)
}

/// With many buffers alive.
pub fn live_buffers(table: &mut Table, card: &Card) -> Result<()> {
    let small = Create::new(PAGE, Domains::VRAM);
    let visible = small.flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let mut alive = Vec::new();

    table.group("create and close of 4 KiB, CPU_ACCESS_REQUIRED");
    for (count, rounds) in [(0, 1000), (1000, 100), (10_000, 20)] {
        alive.extend(create(card, count - alive.len(), visible)?);
        table.measure(&format!("{count} of them alive"), rounds, || {
            pair(card, PAGE, Domains::VRAM, CreateFlags::CPU_ACCESS_REQUIRED)
        })?;
    }
    table.measure("64 KiB, 10000 of 4 KiB alive", 20, || {
        pair(
            card,
            16 * PAGE,
            Domains::VRAM,
            CreateFlags::CPU_ACCESS_REQUIRED,
        )
    })?;
    drop(alive);

    let mut alive = Vec::new();
    table.group("create and close of 4 KiB, VRAM");
    for (count, rounds) in [(0, 1000), (1000, 1000), (50_000, 1000)] {
        alive.extend(create(card, count - alive.len(), small)?);
        table.measure(&format!("{count} of them alive"), rounds, || {
            pair(card, PAGE, Domains::VRAM, CreateFlags::empty())
        })?;
    }
    Ok(())
}

/// Free bytes of VRAM for buffers, and of them those that the CPU can reach.
fn room(card: &Card) -> Result<(u64, u64)> {
    let heaps = card.heaps()?;
    let heap = heaps
        .iter()
        .find(|heap| heap.domain == Domain::Vram)
        .context("no VRAM")?;

    Ok((
        heap.usable - (heap.used - heap.reserved),
        heap.visible_total - heap.visible_used,
    ))
}

/// In VRAM that is full but for every other piece of 4 KiB.
pub fn fragments(table: &mut Table, card: &Card) -> Result<()> {
    const PIECES: usize = 4096;
    let small = Create::new(PAGE, Domains::VRAM);
    let (all, visible) = room(card)?;
    let pieces = 2 * PIECES as u64 * PAGE;

    table.group("VRAM full but for every other 4 KiB");
    // The aperture is left out of the first part: it is where nothing else has room.
    let _visible = card.create(
        Create::new(visible - pieces, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED),
    )?;
    let _rest = card.create(Create::new(all - visible - pieces, Domains::VRAM))?;
    let low = create(
        card,
        2 * PIECES,
        small.flags(CreateFlags::CPU_ACCESS_REQUIRED),
    )?;
    let high = create(card, 2 * PIECES, small)?;
    let every_other =
        |buffers: Vec<Buffer>| -> Vec<Buffer> { buffers.into_iter().step_by(2).collect() };
    let _low = every_other(low);
    let _high = every_other(high);

    table.measure("4 KiB", 500, || {
        pair(card, PAGE, Domains::VRAM, CreateFlags::empty())
    })?;
    table.measure("64 KiB of the aperture", 100, || {
        pair(
            card,
            16 * PAGE,
            Domains::VRAM,
            CreateFlags::CPU_ACCESS_REQUIRED,
        )
    })?;
    table.measure_parts("1 MiB, for each of 256 pieces", 20, 256, || {
        pair(card, 256 * PAGE, Domains::VRAM, CreateFlags::empty())
    })
}

/// With many reservations.
pub fn reservations(table: &mut Table, card: &Card) -> Result<()> {
    const COUNT: u64 = 4000;
    let path = gem_list::debugfs_dir(card)?.join("pddgpu_vram_reserve");
    let create = Create::new(COUNT * PAGE, Domains::VRAM).flags(CreateFlags::VRAM_CONTIGUOUS);
    let buffer = card.create(create)?;
    let start = buffer.info()?.gpu_addr.context("no address")? - card.device()?.vram_start;
    let measure = |table: &Table, state: &str| -> Result<()> {
        let mut heaps = [0u64; 64];

        table.measure(&format!("create and close of 4 KiB, {state}"), 500, || {
            pair(card, PAGE, Domains::VRAM, CreateFlags::empty())
        })?;
        table.measure(&format!("QUERY_HEAPS, {state}"), 500, || {
            let mut args = raw::drm_pddgpu_query {
                query: raw::DRM_PDDGPU_QUERY_HEAPS,
                size: std::mem::size_of_val(&heaps) as u32,
                data: heaps.as_mut_ptr() as u64,
            };

            // SAFETY: The room is ours alone, and as large as we say.
            unsafe { card.raw().query(&mut args) }?;
            Ok(())
        })
    };

    table.group("reservations");
    measure(table, "none")?;
    for page in 0..COUNT {
        fs::write(&path, format!("{} {PAGE}", start + page * PAGE))?;
    }
    measure(table, "4000 pending")?;
    drop(buffer);
    // As soon as the memory is free.
    while !card
        .heaps()?
        .iter()
        .any(|heap| heap.reserved >= COUNT * PAGE)
    {
        std::thread::yield_now();
    }
    ensure!(room(card)?.0 > 0, "nothing left");
    measure(table, "4000 held")
}
