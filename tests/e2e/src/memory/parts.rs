// SPDX-License-Identifier: GPL-2.0

//! The two parts of VRAM, what the CPU can reach and the rest, and buffers that need both.

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{Buffer, Create, CreateFlags, Domain, Domains, Features};

use crate::support::{
    compare::ensure_same,
    engine::finish,
    fixture::{skip, trials, virtual_card, Bench},
    marked::Marked,
    stats::await_zeroed,
};

const PAGE: u64 = 4096;

/// Bytes on each side of the border that a test needs.
const SIDE: u64 = 2 << 20;

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        one_range_lies_across_the_border,
        buffers_in_reach_make_way_for_others,
    )
}

/// Creates a buffer in one range that is larger than either part, and gives where the range is.
fn across(bench: &Bench) -> Result<(Buffer, u64)> {
    let device = &bench.device;
    let hidden = device.vram_size - device.visible_size;
    let size = hidden.max(device.visible_size) + SIDE;
    let heap = bench.heap(Domain::Vram)?;
    if hidden < SIDE || size > heap.usable - heap.reserved {
        return skip("no buffer is larger than both parts of this card's VRAM");
    }
    let flags = CreateFlags::VRAM_CONTIGUOUS | CreateFlags::NO_CPU_ACCESS;
    let buffer = bench
        .card
        .create(Create::new(size, Domains::VRAM).flags(flags))?;
    let start = buffer.info()?.gpu_addr.context("not one range")? - device.vram_start;
    ensure!(
        start < device.visible_size && device.visible_size < start + size,
        "from {start:#x} on, not across {:#x}",
        device.visible_size
    );
    Ok((buffer, start))
}

fn one_range_lies_across_the_border(bench: &Bench) -> Result<()> {
    for _ in 0..3 {
        let (buffer, start) = across(bench)?;
        finish(&buffer)?;
        let border = bench.device.visible_size;
        let end = start + buffer.size();
        let mut card = virtual_card()?;
        // Without an engine nobody could have zeroed what the CPU cannot reach, nor written it.
        let reach = if bench.device.features.contains(Features::COPY) {
            end
        } else {
            border
        };
        let pages = [start, border - PAGE, border, end - PAGE];
        for at in pages.into_iter().filter(|&at| at < reach) {
            let page = card.read_vram(at, PAGE as usize)?;
            ensure_same(&page, &[0; PAGE as usize], &format!("the page at {at:#x}"))?;
        }
        // The next one is to be zero, too.
        card.fill_vram(start, reach - start, 0x3c)?;
        drop(card);
        buffer.close()?;
        await_zeroed(&bench.card)?;
        let heap = bench.heap(Domain::Vram)?;
        ensure!(heap.used == heap.reserved, "{heap:?}");
    }
    Ok(())
}

/// Fills all that the CPU can reach with buffers that must be there, and goes on creating.
fn buffers_in_reach_make_way_for_others(bench: &Bench) -> Result<()> {
    let heap = bench.heap(Domain::Vram)?;
    let size = (heap.visible_total / 128 / PAGE * PAGE).max(PAGE);
    let create = Create::new(size, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let count = (heap.visible_total - heap.visible_used).min(heap.usable) / size;
    let mut buffers: Vec<_> = (0..count)
        .map(|number| Marked::create(&bench.card, create, number))
        .collect::<Result<_>>()?;
    let evictions = bench.card.memory_stats()?.evictions;
    for number in 0..8 {
        let marked = Marked::create(&bench.card, create, count + number)?;
        ensure!(
            marked.buffer.info()?.placement == Domain::Vram,
            "not in VRAM"
        );
        buffers.push(marked);
    }
    let stats = bench.card.memory_stats()?;
    ensure!(stats.evictions > evictions, "nobody made way");

    // One that needs both parts.
    let (large, _) = across(bench)?;
    finish(&large)?;
    buffers.iter().try_for_each(Marked::check)?;
    drop(large);
    buffers.iter().try_for_each(Marked::check)
}
