// SPDX-License-Identifier: GPL-2.0

//! The same bytes, seen by the CPU through mappings and by the card in its own memory.

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{virtual_card::pages, Buffer, Create, CreateFlags, Domain, Domains};

use crate::support::{
    compare::{ensure_holds, ensure_same},
    engine::finish,
    fixture::{skip, trials, virtual_card, Bench},
    placement::split_buffer,
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        contiguous_buffers_are_where_the_driver_says,
        split_buffers_hold_their_bytes,
        invisible_buffers_are_written_once_mapped,
        moved_buffers_are_where_the_driver_says,
        card_sees_single_bytes,
    )
}

/// Checks a buffer that lies in the aperture from both sides.
fn check_both_sides(bench: &Bench, buffer: &Buffer, seed: u64) -> Result<Vec<u64>> {
    let mut card = virtual_card()?;
    let mut map = buffer.map()?;
    let content = pages::pattern(seed, map.len());
    map.write(0, &content);
    let offsets = pages::find(&mut card, bench.device.visible_size, &content)?;

    let content = pages::pattern(seed + 1, map.len());
    pages::write(&mut card, &offsets, &content)?;
    ensure_holds(&map, &content, "what the card wrote")?;
    Ok(offsets)
}

fn contiguous_buffers_are_where_the_driver_says(bench: &Bench) -> Result<()> {
    let flags = CreateFlags::CPU_ACCESS_REQUIRED | CreateFlags::VRAM_CONTIGUOUS;
    for (seed, size) in [4096, 5 * 4096, 1 << 20, (1 << 20) + 4096]
        .into_iter()
        .enumerate()
    {
        let buffer = bench
            .card
            .create(Create::new(size, Domains::VRAM).flags(flags))?;
        let offsets = check_both_sides(bench, &buffer, 100 + 2 * seed as u64)?;
        let addr = buffer.info()?.gpu_addr.context("no address")?;
        ensure!(
            offsets[0] + bench.device.vram_start == addr,
            "{:#x}, {addr:#x}",
            offsets[0]
        );
        ensure!(pages::runs(&offsets).count() == 1, "{offsets:x?}");
    }
    Ok(())
}

pub fn split_buffers_hold_their_bytes(bench: &Bench) -> Result<()> {
    let (buffer, _kept) = split_buffer(bench)?;
    ensure!(
        buffer.info()?.placement == Domain::Vram,
        "{:?}",
        buffer.info()?
    );
    let offsets = check_both_sides(bench, &buffer, 200)?;
    ensure!(
        pages::runs(&offsets).count() > 1,
        "one range, but no address: {offsets:x?}"
    );

    let map = buffer.map()?;
    let content = map.to_vec();
    for domain in [Domain::Gtt, Domain::Vram, Domain::Cpu] {
        buffer.move_to(domain)?;
        ensure_holds(&map, &content, &format!("a split buffer moved to {domain}"))?;
    }
    Ok(())
}

fn invisible_buffers_are_written_once_mapped(bench: &Bench) -> Result<()> {
    let flags = CreateFlags::VRAM_CONTIGUOUS;
    let buffer = bench
        .card
        .create(Create::new(1 << 20, Domains::VRAM).flags(flags))?;
    if buffer.info()?.visible != 0 {
        return skip("all of this card's VRAM is visible");
    }
    let mut map = buffer.map()?;
    let content = pages::pattern(300, map.len());
    map.write(0, &content);
    ensure_holds(&map, &content, "a buffer that was out of the CPU's reach")?;
    let info = buffer.info()?;
    ensure!(
        info.visible == info.size,
        "mapped, but out of reach: {info:?}"
    );
    if info.placement == Domain::Vram {
        let offset = info.gpu_addr.context("no address")? - bench.device.vram_start;
        let seen = virtual_card()?.read_vram(offset, content.len())?;
        ensure_same(&seen, &content, "the card's view")?;
    }
    Ok(())
}

fn moved_buffers_are_where_the_driver_says(bench: &Bench) -> Result<()> {
    let flags = CreateFlags::CPU_ACCESS_REQUIRED | CreateFlags::VRAM_CONTIGUOUS;
    let buffer = bench
        .card
        .create(Create::new(256 << 10, Domains::GTT).flags(flags))?;
    let mut map = buffer.map()?;
    let content = pages::pattern(400, map.len());
    map.write(0, &content);
    buffer.move_to(Domain::Vram)?;
    finish(&buffer)?;
    let offset = buffer.info()?.gpu_addr.context("no address")? - bench.device.vram_start;
    let mut card = virtual_card()?;
    ensure_same(
        &card.read_vram(offset, content.len())?,
        &content,
        "the card's view",
    )?;

    let content = pages::pattern(401, map.len());
    card.write_vram(offset, &content)?;
    buffer.move_to(Domain::Cpu)?;
    ensure_holds(
        &map,
        &content,
        "what the card wrote, moved to system memory",
    )
}

fn card_sees_single_bytes(bench: &Bench) -> Result<()> {
    let flags = CreateFlags::CPU_ACCESS_REQUIRED | CreateFlags::VRAM_CONTIGUOUS;
    let buffer = bench
        .card
        .create(Create::new(8192, Domains::VRAM).flags(flags))?;
    let offset = buffer.info()?.gpu_addr.context("no address")? - bench.device.vram_start;
    let mut map = buffer.map()?;
    let mut content = vec![0; map.len()];
    for (at, byte) in [(0, 1), (1, 2), (4095, 3), (4096, 4), (8191, 5)] {
        map.write(at, &[byte]);
        content[at] = byte;
    }
    ensure_same(
        &virtual_card()?.read_vram(offset, 8192)?,
        &content,
        "the card's view",
    )
}
