// SPDX-License-Identifier: GPL-2.0

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{raw::drm_pddgpu_gem_info, Create, CreateFlags, Domain, Domains};
use rustix::io::Errno;

use crate::support::{
    fixture::{skip, trials, Bench},
    placement::{straddling, wipe, LEFT},
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        tells_what_was_asked_for,
        tells_where_it_should_be,
        sees_all_of_a_buffer_outside_vram,
        sees_all_of_a_buffer_that_needs_cpu_access,
        sees_nothing_of_a_buffer_at_the_top,
        sees_a_part_of_a_buffer_across_the_aperture_end,
        sees_a_part_of_a_range_across_the_aperture_end,
        rejects_padding,
        rejects_unknown_handles,
    )
}

fn tells_what_was_asked_for(bench: &Bench) -> Result<()> {
    let flags = CreateFlags::CPU_ACCESS_REQUIRED | CreateFlags::VRAM_CLEARED;
    let create = Create::new(10_000, Domains::all())
        .alignment(64 << 10)
        .flags(flags);
    let info = bench.card.create(create)?.info()?;
    ensure!(info.size == 12288 && info.alignment == 64 << 10, "{info:?}");
    ensure!(
        info.domains == Domains::all() && info.flags == flags,
        "{info:?}"
    );
    Ok(())
}

fn tells_where_it_should_be(bench: &Bench) -> Result<()> {
    let buffer = bench.card.create(Create::new(1 << 20, Domains::all()))?;
    let info = buffer.info()?;
    ensure!(
        info.preferred == Some(Domain::Vram) && !info.displaced && !info.purged && !info.imported,
        "{info:?}"
    );
    buffer.move_to(Domain::Gtt)?;
    let info = buffer.info()?;
    ensure!(
        info.preferred == Some(Domain::Gtt) && !info.displaced,
        "moved: {info:?}"
    );
    buffer.move_to(Domain::Vram)?;
    // All of VRAM for others.
    let size = bench.heap(Domain::Vram)?.usable / 8 / 4096 * 4096;
    let mut hogs = Vec::new();
    while !buffer.info()?.displaced {
        ensure!(hogs.len() < 16, "never evicted: {:?}", buffer.info()?);
        hogs.push(bench.card.create(Create::new(size, Domains::VRAM))?);
    }
    let info = buffer.info()?;
    ensure!(
        info.preferred == Some(Domain::Vram) && info.placement != Domain::Vram,
        "evicted: {info:?}"
    );
    Ok(())
}

fn sees_all_of_a_buffer_outside_vram(bench: &Bench) -> Result<()> {
    for domain in [Domain::Gtt, Domain::Cpu] {
        let info = bench
            .card
            .create(Create::new(1 << 20, domain.into()))?
            .info()?;
        ensure!(info.visible == 1 << 20, "{info:?}");
    }
    Ok(())
}

fn sees_all_of_a_buffer_that_needs_cpu_access(bench: &Bench) -> Result<()> {
    let create = Create::new(1 << 20, Domains::VRAM)
        .flags(CreateFlags::CPU_ACCESS_REQUIRED | CreateFlags::VRAM_CONTIGUOUS);
    let info = bench.card.create(create)?.info()?;
    let end = info.gpu_addr.context("no address")? + info.size - bench.device.vram_start;
    ensure!(
        info.visible == info.size && end <= bench.device.visible_size,
        "{info:?}"
    );
    Ok(())
}

fn sees_nothing_of_a_buffer_at_the_top(bench: &Bench) -> Result<()> {
    let device = &bench.device;
    let flags = CreateFlags::NO_CPU_ACCESS | CreateFlags::VRAM_CONTIGUOUS;
    wipe(bench)?;
    let info = bench
        .card
        .create(Create::new(1 << 20, Domains::VRAM).flags(flags))?
        .info()?;
    let end = info.gpu_addr.context("no address")? + info.size;
    ensure!(
        end == device.vram_start + device.vram_size,
        "not at the top: {info:?}"
    );
    if device.visible_size <= device.vram_size - info.size {
        ensure!(info.visible == 0, "{info:?}");
    }
    Ok(())
}

fn sees_a_part_of_a_buffer_across_the_aperture_end(bench: &Bench) -> Result<()> {
    let before = bench.heap(Domain::Vram)?;
    let (buffer, fill) = straddling(bench)?;
    for filler in &fill {
        ensure!(filler.info()?.visible == 0, "{:?}", filler.info()?);
    }
    let info = buffer.info()?;
    ensure!(info.placement == Domain::Vram, "{info:?}");
    ensure!(info.visible == 2 * LEFT, "{info:?}");
    let heap = bench.heap(Domain::Vram)?;
    ensure!(
        heap.visible_used - before.visible_used == info.visible,
        "{info:?} {heap:?}"
    );
    Ok(())
}

/// A contiguous buffer of blocks of several sizes.
fn sees_a_part_of_a_range_across_the_aperture_end(bench: &Bench) -> Result<()> {
    let device = &bench.device;
    if device.visible_size > device.vram_size / 4 || !device.vram_size.is_power_of_two() {
        return skip("this card's aperture is too large for such a range");
    }
    let before = wipe(bench)?;
    let flags = CreateFlags::NO_CPU_ACCESS | CreateFlags::VRAM_CONTIGUOUS;
    let size = device.vram_size - device.visible_size / 2;
    let buffer = bench
        .card
        .create(Create::new(size, Domains::VRAM).flags(flags))?;
    let info = buffer.info()?;
    let start = info.gpu_addr.context("no address")? - device.vram_start;
    ensure!(0 < start && start < device.visible_size, "{info:?}");
    ensure!(info.visible == device.visible_size - start, "{info:?}");
    let heap = bench.heap(Domain::Vram)?;
    ensure!(
        heap.visible_used - before.visible_used == info.visible,
        "{heap:?}"
    );
    Ok(())
}

fn rejects_padding(bench: &Bench) -> Result<()> {
    let buffer = bench.card.create(Create::new(4096, Domains::CPU))?;
    let good = drm_pddgpu_gem_info {
        handle: buffer.handle(),
        ..Default::default()
    };
    for mut args in [
        drm_pddgpu_gem_info { pad: 1, ..good },
        drm_pddgpu_gem_info {
            pad2: 1 << 31,
            ..good
        },
    ] {
        let result = bench.card.raw().gem_info(&mut args);
        ensure!(result == Err(Errno::INVAL), "{args:?}: {result:?}");
    }
    Ok(())
}

fn rejects_unknown_handles(bench: &Bench) -> Result<()> {
    let buffer = bench.card.create(Create::new(4096, Domains::CPU))?;
    let closed = buffer.handle();
    drop(buffer);
    for handle in [0, closed, 12345, u32::MAX] {
        let mut args = drm_pddgpu_gem_info {
            handle,
            ..Default::default()
        };
        let result = bench.card.raw().gem_info(&mut args);
        ensure!(result == Err(Errno::NOENT), "{handle}: {result:?}");
    }
    Ok(())
}
