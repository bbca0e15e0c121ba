// SPDX-License-Identifier: GPL-2.0

use anyhow::{ensure, Result};
use libtest_mimic::Trial;
use pddgpu::{raw::drm_pddgpu_gem_mmap, Create, CreateFlags, Domain, Domains};
use rustix::{io::Errno, mm::MapFlags};

use crate::support::{
    compare::{ensure_holds, ensure_zero},
    fixture::{trials, Bench},
    mmap::try_mmap,
};

const PAGE: usize = 4096;

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        gives_each_buffer_one_offset,
        maps_the_same_bytes_twice,
        keeps_a_mapping_after_the_handle,
        maps_the_start_of_a_buffer,
        rejects_padding,
        rejects_unknown_handles,
        rejects_buffers_without_cpu_access,
        refuses_private_mappings,
        refuses_mappings_longer_than_the_buffer,
        refuses_offsets_that_are_nobodys,
        refuses_offsets_of_buffers_without_cpu_access,
    )
}

fn gives_each_buffer_one_offset(bench: &Bench) -> Result<()> {
    let mut offsets = Vec::new();
    for domain in Domain::ALL {
        let buffer = bench.card.create(Create::new(1 << 20, domain.into()))?;
        let offset = buffer.mmap_offset()?;
        ensure!(
            buffer.mmap_offset()? == offset,
            "another offset the second time"
        );
        ensure!(offset.get() % PAGE as u64 == 0, "{offset:#x}");
        offsets.push((offset, buffer));
    }
    ensure!(
        offsets[0].0 != offsets[1].0 && offsets[1].0 != offsets[2].0,
        "{offsets:?}"
    );
    Ok(())
}

fn maps_the_same_bytes_twice(bench: &Bench) -> Result<()> {
    for domain in Domain::ALL {
        let create = Create::new(PAGE as u64, domain.into());
        let buffer = bench
            .card
            .create(create.flags(CreateFlags::CPU_ACCESS_REQUIRED))?;
        let (mut one, other) = (buffer.map()?, buffer.map()?);
        ensure_zero(&other, "a new buffer")?;
        one.write(0, &[7; PAGE]);
        ensure_holds(&other, &[7; PAGE], "the other mapping")?;
    }
    Ok(())
}

fn keeps_a_mapping_after_the_handle(bench: &Bench) -> Result<()> {
    for domain in Domain::ALL {
        let create = Create::new(16 * PAGE as u64, domain.into());
        let buffer = bench
            .card
            .create(create.flags(CreateFlags::CPU_ACCESS_REQUIRED))?;
        let before = bench.heap(domain)?;
        let mut map = buffer.map()?;
        map.write(0, &[1; PAGE]);
        buffer.close()?;
        ensure!(bench.heap(domain)? == before, "a mapped buffer was freed");
        map.write(PAGE, &[2; PAGE]);
        let content = [vec![1; PAGE], vec![2; PAGE], vec![0; 14 * PAGE]].concat();
        ensure_holds(&map, &content, "a buffer without a handle")?;
    }
    Ok(())
}

fn maps_the_start_of_a_buffer(bench: &Bench) -> Result<()> {
    let buffer = bench
        .card
        .create(Create::new(4 * PAGE as u64, Domains::GTT))?;
    let offset = buffer.mmap_offset()?.get();
    try_mmap(&bench.card, offset, PAGE, MapFlags::SHARED)?;
    // A buffer's offset is a name for it and no address to calculate with.
    let result = try_mmap(
        &bench.card,
        offset + PAGE as u64,
        3 * PAGE,
        MapFlags::SHARED,
    );
    ensure!(result == Err(Errno::INVAL), "from the middle: {result:?}");
    Ok(())
}

fn rejects_padding(bench: &Bench) -> Result<()> {
    let buffer = bench.card.create(Create::new(PAGE as u64, Domains::CPU))?;
    let mut args = drm_pddgpu_gem_mmap {
        handle: buffer.handle(),
        pad: 1,
        ..Default::default()
    };
    let result = bench.card.raw().gem_mmap(&mut args);
    ensure!(result == Err(Errno::INVAL), "{result:?}");
    Ok(())
}

fn rejects_unknown_handles(bench: &Bench) -> Result<()> {
    for handle in [0, 12345, u32::MAX] {
        let mut args = drm_pddgpu_gem_mmap {
            handle,
            ..Default::default()
        };
        let result = bench.card.raw().gem_mmap(&mut args);
        ensure!(result == Err(Errno::NOENT), "{handle}: {result:?}");
    }
    Ok(())
}

fn rejects_buffers_without_cpu_access(bench: &Bench) -> Result<()> {
    for domain in Domain::ALL {
        let create = Create::new(PAGE as u64, domain.into()).flags(CreateFlags::NO_CPU_ACCESS);
        let result = bench.card.create(create)?.mmap_offset();
        let errno = result.as_ref().err().and_then(|error| error.errno());
        ensure!(errno == Some(Errno::PERM), "{domain}: {result:?}");
    }
    Ok(())
}

fn refuses_private_mappings(bench: &Bench) -> Result<()> {
    for domain in Domain::ALL {
        let buffer = bench.card.create(Create::new(PAGE as u64, domain.into()))?;
        let offset = buffer.mmap_offset()?.get();
        let result = try_mmap(&bench.card, offset, PAGE, MapFlags::PRIVATE);
        ensure!(result == Err(Errno::INVAL), "{domain}: {result:?}");
    }
    Ok(())
}

fn refuses_mappings_longer_than_the_buffer(bench: &Bench) -> Result<()> {
    let buffer = bench
        .card
        .create(Create::new(2 * PAGE as u64, Domains::CPU))?;
    let offset = buffer.mmap_offset()?.get();
    for (offset, len) in [(offset, 3 * PAGE), (offset + PAGE as u64, 2 * PAGE)] {
        let result = try_mmap(&bench.card, offset, len, MapFlags::SHARED);
        ensure!(
            result == Err(Errno::INVAL),
            "{len} bytes at {offset:#x}: {result:?}"
        );
    }
    Ok(())
}

fn refuses_offsets_that_are_nobodys(bench: &Bench) -> Result<()> {
    let buffer = bench.card.create(Create::new(PAGE as u64, Domains::CPU))?;
    let gone = buffer.mmap_offset()?.get();
    drop(buffer);
    for offset in [0, gone, 1 << 40] {
        let result = try_mmap(&bench.card, offset, PAGE, MapFlags::SHARED);
        ensure!(result == Err(Errno::INVAL), "{offset:#x}: {result:?}");
    }
    Ok(())
}

/// Such a buffer's offset is not told, but it can be guessed.
fn refuses_offsets_of_buffers_without_cpu_access(bench: &Bench) -> Result<()> {
    let create = Create::new(PAGE as u64, Domains::CPU);
    let first = bench.card.create(create)?;
    let hidden = bench
        .card
        .create(create.flags(CreateFlags::NO_CPU_ACCESS))?;
    let last = bench.card.create(create)?;
    let known = [first.mmap_offset()?.get(), last.mmap_offset()?.get()];
    let (low, high) = (known[0].min(known[1]), known[0].max(known[1]));
    let around = 16 * PAGE as u64;
    for offset in (low.saturating_sub(around)..high + around).step_by(PAGE) {
        if !known.contains(&offset) {
            let result = try_mmap(&bench.card, offset, PAGE, MapFlags::SHARED);
            ensure!(result.is_err(), "{offset:#x}, near {known:x?}, was mapped");
        }
    }
    drop(hidden);
    Ok(())
}
