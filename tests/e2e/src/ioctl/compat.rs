// SPDX-License-Identifier: GPL-2.0

//! Programs of 32 bits, whose ioctls the kernel takes in another place (`compat_ioctl`).

use anyhow::{ensure, Result};
use libtest_mimic::Trial;
use pddgpu::{raw, Deadline, Domains};
use rustix::{io::Errno, mm::MapFlags};

use crate::support::{
    fixture::{trials, Bench},
    ioctl_32::Low,
    mmap::try_mmap,
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        a_program_of_32_bits_uses_a_buffer,
        a_program_of_32_bits_asks_what_the_card_is,
        a_program_of_32_bits_gets_the_same_errors,
    )
}

const SIZE: u64 = 8192;

fn a_program_of_32_bits_uses_a_buffer(bench: &Bench) -> Result<()> {
    let (low, card) = (Low::new()?, &bench.card);
    let mut create = raw::drm_pddgpu_gem_create {
        size: SIZE,
        domain: Domains::VRAM.bits(),
        ..Default::default()
    };
    low.ioctl(card, raw::PDDGPU_IOCTL_GEM_CREATE, &mut create)?;
    let handle = create.handle;

    let mut map = raw::drm_pddgpu_gem_mmap {
        handle,
        ..Default::default()
    };
    low.ioctl(card, raw::PDDGPU_IOCTL_GEM_MMAP, &mut map)?;
    try_mmap(card, map.offset, SIZE as usize, MapFlags::SHARED)?;

    // The syncobjs that it waits for are an array elsewhere.
    let syncobj = pddgpu::Syncobj::new(card)?;
    low.write(syncobj.signal_after(0));
    let mut fill = raw::drm_pddgpu_gem_fill {
        handle,
        value: 7,
        size: SIZE,
        syncs: low.address(),
        num_syncs: 1,
        ..Default::default()
    };
    low.ioctl(card, raw::PDDGPU_IOCTL_GEM_FILL, &mut fill)?;
    ensure!(syncobj.wait(0, Deadline::NEVER)?, "not filled");

    let mut move_ = raw::drm_pddgpu_gem_move {
        handle,
        domain: Domains::GTT.bits(),
        ..Default::default()
    };
    low.ioctl(card, raw::PDDGPU_IOCTL_GEM_MOVE, &mut move_)?;
    let mut wait = raw::drm_pddgpu_gem_wait {
        handle,
        timeout_ns: Deadline::NEVER.as_nanos(),
        ..Default::default()
    };
    low.ioctl(card, raw::PDDGPU_IOCTL_GEM_WAIT, &mut wait)?;
    let mut info = raw::drm_pddgpu_gem_info {
        handle,
        ..Default::default()
    };
    low.ioctl(card, raw::PDDGPU_IOCTL_GEM_INFO, &mut info)?;
    ensure!(
        (info.size, info.placement) == (SIZE, Domains::GTT.bits()),
        "{info:?}"
    );
    card.raw().gem_close(handle)?;
    Ok(())
}

fn a_program_of_32_bits_asks_what_the_card_is(bench: &Bench) -> Result<()> {
    let low = Low::new()?;
    let mut query = raw::drm_pddgpu_query {
        query: raw::DRM_PDDGPU_QUERY_DEVICE,
        size: size_of::<raw::drm_pddgpu_query_device>() as u32,
        data: low.address(),
    };
    low.ioctl(&bench.card, raw::PDDGPU_IOCTL_QUERY, &mut query)?;
    let device: raw::drm_pddgpu_query_device = low.read();
    ensure!(
        device.vram_size == bench.device.vram_size && device.chip_id == bench.device.chip_id,
        "{device:?}"
    );
    Ok(())
}

fn a_program_of_32_bits_gets_the_same_errors(bench: &Bench) -> Result<()> {
    let low = Low::new()?;
    let mut info = raw::drm_pddgpu_gem_info {
        handle: 4711,
        ..Default::default()
    };
    let result = low.ioctl(&bench.card, raw::PDDGPU_IOCTL_GEM_INFO, &mut info);
    ensure!(result == Err(Errno::NOENT), "{result:?}");
    let mut create = raw::drm_pddgpu_gem_create::default();
    let result = low.ioctl(&bench.card, raw::PDDGPU_IOCTL_GEM_CREATE, &mut create);
    ensure!(result == Err(Errno::INVAL), "{result:?}");
    Ok(())
}
