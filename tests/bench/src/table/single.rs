// SPDX-License-Identifier: GPL-2.0

//! Single operations, with nothing else on the card.

use std::os::fd::AsFd;

use anyhow::Result;
use pddgpu::{raw, Buffer, Card, Create, CreateFlags, Domain, Domains};

use super::measure::Table;

/// What sizes are called.
const SIZES: [(&str, u64, u32); 4] = [
    ("4 KiB", 4 << 10, 2000),
    ("64 KiB", 64 << 10, 1000),
    ("2 MiB", 2 << 20, 200),
    ("64 MiB", 64 << 20, 50),
];

/// `DRM_CAP_PRIME`, which every driver answers, with or without a display.
const CAP_PRIME: u64 = 5;

/// Creates a buffer and closes it, with the ioctls alone.
pub fn pair(card: &Card, size: u64, domains: Domains, flags: CreateFlags) -> Result<()> {
    let mut create = raw::drm_pddgpu_gem_create {
        size,
        domain: domains.bits(),
        flags: flags.bits(),
        ..Default::default()
    };

    card.raw().gem_create(&mut create)?;
    card.raw().gem_close(create.handle)?;
    Ok(())
}

/// Creates and closes buffers of each domain.
pub fn create_and_close(table: &mut Table, card: &Card) -> Result<()> {
    table.group("create and close");
    for (size_name, size, count) in SIZES {
        table.measure(&format!("VRAM {size_name}"), count, || {
            pair(card, size, Domains::VRAM, CreateFlags::empty())
        })?;
    }
    for (domain, domains) in [("GTT", Domains::GTT), ("CPU", Domains::CPU)] {
        for (size_name, size, count) in &SIZES[..2] {
            table.measure(&format!("{domain} {size_name}"), *count, || {
                pair(card, *size, domains, CreateFlags::empty())
            })?;
        }
    }
    Ok(())
}

fn query(card: &Card, number: u32, room: &mut [u64]) -> Result<()> {
    let mut args = raw::drm_pddgpu_query {
        query: number,
        size: std::mem::size_of_val(room) as u32,
        data: room.as_mut_ptr() as u64,
    };

    // SAFETY: The room is ours alone, and as large as we say.
    unsafe { card.raw().query(&mut args) }?;
    Ok(())
}

/// Calls that change nothing.
pub fn ioctls(table: &mut Table, card: &Card) -> Result<()> {
    const COUNT: u32 = 2000;
    let mut room = [0; 1024];
    let idle = card.create(Create::new(4096, Domains::VRAM))?;

    table.group("calls");
    table.measure("null ioctl (GET_CAP)", COUNT, || {
        drm_ffi::get_capability(card.as_fd(), CAP_PRIME)?;
        Ok(())
    })?;
    table.measure("QUERY_HEAPS", COUNT, || {
        query(card, raw::DRM_PDDGPU_QUERY_HEAPS, &mut room)
    })?;
    table.measure("QUERY_MEMORY_STATS", COUNT, || {
        query(card, raw::DRM_PDDGPU_QUERY_MEMORY_STATS, &mut room)
    })?;
    table.measure("GEM_INFO", COUNT, || info(card, &idle))?;
    table.measure("GEM_WAIT, idle", COUNT, || {
        card.raw().gem_wait(raw::drm_pddgpu_gem_wait {
            handle: idle.handle(),
            timeout_ns: 0,
            ..Default::default()
        })?;
        Ok(())
    })?;
    table.measure("GEM_MOVE, there already", COUNT, || {
        Ok(idle.move_to(Domain::Vram)?)
    })
}

fn info(card: &Card, buffer: &Buffer) -> Result<()> {
    card.raw().gem_info(&mut raw::drm_pddgpu_gem_info {
        handle: buffer.handle(),
        ..Default::default()
    })?;
    Ok(())
}
