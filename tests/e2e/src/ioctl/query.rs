// SPDX-License-Identifier: GPL-2.0

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{
    raw::{self, drm_pddgpu_query},
    Create, CreateFlags, Domain, Features, OwnerKind,
};
use rustix::io::Errno;

use crate::support::{
    fixture::{trials, virtual_card, Bench},
    patience::eventually,
    query::{ask, UNTOUCHED},
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        device_tells_what_the_registers_say,
        heaps_agree_with_the_device,
        heaps_count_what_buffers_take,
        size_zero_asks_for_the_size,
        short_answers_are_cut_off,
        long_answers_leave_the_rest_alone,
        rejects_unknown_queries,
        rejects_addresses_that_cannot_be_written,
    )
}

/// Asks for an answer at an address that cannot be written.
fn ask_at(bench: &Bench, query: u32, size: u32, data: u64) -> Result<(), Errno> {
    let mut args = drm_pddgpu_query { query, size, data };
    // SAFETY: Callers give addresses where this process has no memory, or only constants, which the
    // kernel is not able to write either.
    unsafe { bench.card.raw().query(&mut args) }
}

const QUERIES: [u32; 6] = [
    raw::DRM_PDDGPU_QUERY_DEVICE,
    raw::DRM_PDDGPU_QUERY_HEAPS,
    raw::DRM_PDDGPU_QUERY_MEMORY_STATS,
    raw::DRM_PDDGPU_QUERY_LEAKS,
    raw::DRM_PDDGPU_QUERY_BUDGET,
    raw::DRM_PDDGPU_QUERY_OWNERS,
];

fn size_of_answer(bench: &Bench, query: u32) -> Result<u32> {
    Ok(match query {
        raw::DRM_PDDGPU_QUERY_DEVICE => size_of::<raw::drm_pddgpu_query_device>() as u32,
        raw::DRM_PDDGPU_QUERY_MEMORY_STATS => {
            size_of::<raw::drm_pddgpu_query_memory_stats>() as u32
        }
        // Nothing is old enough to be one.
        raw::DRM_PDDGPU_QUERY_LEAKS => 8,
        // There is more than one client.
        raw::DRM_PDDGPU_QUERY_OWNERS => {
            let owners = bench.card.owners()?.len();
            8 + (owners * size_of::<raw::drm_pddgpu_owner>()) as u32
        }
        _ => 8 + 3 * size_of::<raw::drm_pddgpu_heap>() as u32,
    })
}

/// Waits until the driver changes nothing by itself any more: all that is free is zero, if the card has
/// an engine for that.
fn await_rest(bench: &Bench) -> Result<()> {
    let is_wiped_later = bench.device.features.contains(Features::COPY);
    eventually(|| {
        let owners = bench.card.owners()?;
        let mut unrest = owners.iter().filter(|owner| {
            let is_wiped = matches!(owner.kind, OwnerKind::Wiping | OwnerKind::Dirty);
            is_wiped_later && is_wiped && owner.vram > 0
        });
        ensure!(unrest.next().is_none(), "{owners:?}");
        Ok(())
    })
}

fn device_tells_what_the_registers_say(bench: &Bench) -> Result<()> {
    let device = &bench.device;
    let mut card = virtual_card()?;
    for (name, offset, width, told) in [
        ("CHIP_ID", 0x00, 4, device.chip_id.into()),
        ("FEATURES", 0x0c, 4, device.features.bits().into()),
        ("VRAM_SIZE", 0x10, 8, device.vram_size),
        ("GTT_SIZE", 0x18, 8, device.gtt_size),
        ("VRAM_START", 0x20, 8, device.vram_start),
        ("GTT_START", 0x30, 8, device.gtt_start),
    ] {
        let is = card.read_reg(offset, width)?;
        ensure!(
            told == is,
            "{name}: the card says {is:#x}, the driver {told:#x}"
        );
    }
    ensure!(
        (1..=device.vram_size).contains(&device.visible_size),
        "{device:?}"
    );
    ensure!(device.max_alignment == 1 << 20, "{device:?}");
    ensure!(device.max_cpu_size == 1 << 30, "{device:?}");
    Ok(())
}

fn heaps_agree_with_the_device(bench: &Bench) -> Result<()> {
    let device = &bench.device;
    let heaps = bench.card.heaps()?;
    let domains: Vec<_> = heaps.iter().map(|h| h.domain).collect();
    ensure!(domains == Domain::ALL, "{domains:?}");
    ensure!(heaps[0].total == device.vram_size, "{:?}", heaps[0]);
    ensure!(
        heaps[0].visible_total == device.visible_size,
        "{:?}",
        heaps[0]
    );
    ensure!(heaps[1].total == device.gtt_size, "{:?}", heaps[1]);
    for heap in &heaps {
        ensure!(
            heap.usable <= heap.total && heap.visible_used <= heap.used,
            "{heap:?}"
        );
        ensure!(
            heap.reserved <= heap.used && heap.used <= heap.total,
            "{heap:?}"
        );
    }
    // The transfer windows are the driver's own, as the start of VRAM is.
    let windows = heaps[1].total - heaps[1].usable;
    ensure!(heaps[1].reserved == windows, "{:?}", heaps[1]);
    for heap in &heaps[1..] {
        ensure!(
            heap.visible_total == heap.total && heap.visible_used == heap.used,
            "{heap:?}"
        );
    }
    Ok(())
}

fn heaps_count_what_buffers_take(bench: &Bench) -> Result<()> {
    for domain in Domain::ALL {
        for (size, flags) in [
            (4096, CreateFlags::CPU_ACCESS_REQUIRED),
            (3 << 16, CreateFlags::CPU_ACCESS_REQUIRED),
            (3 << 20, CreateFlags::CPU_ACCESS_REQUIRED),
            ((5 << 20) + 4096, CreateFlags::VRAM_CONTIGUOUS),
            (1 << 20, CreateFlags::NO_CPU_ACCESS),
        ] {
            let before = bench.heap(domain)?;
            let buffer = bench
                .card
                .create(Create::new(size, domain.into()).flags(flags))?;
            let (after, info) = (bench.heap(domain)?, buffer.info()?);
            ensure!(
                after.used == before.used + size,
                "{domain} {size}: {before:?} {after:?}"
            );
            let seen = after.visible_used - before.visible_used;
            ensure!(
                seen == info.visible,
                "{domain}: {seen} visible, GEM_INFO: {info:?}"
            );
            buffer.close()?;
            bench
                .await_heap(&before)
                .with_context(|| format!("{domain} {size}, closed"))?;
        }
    }
    Ok(())
}

fn size_zero_asks_for_the_size(bench: &Bench) -> Result<()> {
    for query in QUERIES {
        let (answer, size) = ask(bench, query, 0)?;
        ensure!(
            size == size_of_answer(bench, query)?,
            "query {query}: {size} bytes"
        );
        ensure!(
            answer.iter().all(|&b| b == UNTOUCHED),
            "query {query}: wrote something"
        );
        // Nothing is written, so no address is needed either.
        ask_at(bench, query, 0, 0)?;
    }
    Ok(())
}

fn short_answers_are_cut_off(bench: &Bench) -> Result<()> {
    await_rest(bench)?;
    for query in QUERIES {
        let full = size_of_answer(bench, query)?;
        let (whole, _) = ask(bench, query, full)?;
        for short in [1, 4, 7, 8, 16, full - 1].into_iter().filter(|&n| n < full) {
            let (answer, size) = ask(bench, query, short)?;
            ensure!(size == short, "query {query}: {size} bytes of {short}");
            let (written, rest) = answer.split_at(short as usize);
            ensure!(
                written == &whole[..short as usize],
                "query {query}: another answer"
            );
            ensure!(
                rest.iter().all(|&b| b == UNTOUCHED),
                "query {query}: wrote past {short}"
            );
        }
    }
    Ok(())
}

fn long_answers_leave_the_rest_alone(bench: &Bench) -> Result<()> {
    await_rest(bench)?;
    for query in QUERIES {
        let full = size_of_answer(bench, query)?;
        let (whole, size) = ask(bench, query, full)?;
        ensure!(size == full, "query {query}: {size} bytes of {full}");
        for long in [full + 1, 4096] {
            let (answer, size) = ask(bench, query, long)?;
            ensure!(
                size == full,
                "query {query}: {size} bytes written, there are {full}"
            );
            let (written, rest) = answer.split_at(full as usize);
            ensure!(
                written == &whole[..full as usize],
                "query {query}: another answer"
            );
            ensure!(
                rest.iter().all(|&b| b == UNTOUCHED),
                "query {query}: wrote past its end"
            );
        }
    }
    Ok(())
}

fn rejects_unknown_queries(bench: &Bench) -> Result<()> {
    for query in [1000, u32::MAX] {
        for size in [0, 64] {
            let result = ask(bench, query, size);
            ensure!(
                result == Err(Errno::INVAL),
                "query {query} of {size} bytes: {result:?}"
            );
        }
    }
    Ok(())
}

fn rejects_addresses_that_cannot_be_written(bench: &Bench) -> Result<()> {
    let constant: &'static [u8; 64] = &[0; 64];
    for query in QUERIES {
        for data in [
            0,
            8,
            u64::MAX - 8,
            1 << 63,
            constant.as_ptr() as usize as u64,
        ] {
            let result = ask_at(bench, query, size_of_answer(bench, query)?, data);
            ensure!(
                result == Err(Errno::FAULT),
                "query {query} at {data:#x}: {result:?}"
            );
        }
    }
    Ok(())
}
