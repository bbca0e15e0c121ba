// SPDX-License-Identifier: GPL-2.0

//! `DRM_IOCTL_PDDGPU_QUERY`: the card, its heaps, statistics, leaks, budgets and owners.

use kernel::{
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

use crate::{
    abstractions::{
        capability,
        drm::ioctl::Ioctl,
        memory,
        ttm::{
            self,
            MemType, //
        }, //
    },
    device::{
        Pddgpu,
        PddgpuDevice,
        PddgpuDrm,
        PddgpuFile, //
    },
    memory_stats::{
        info,
        leak::LeakState, //
    },
    owners::{
        owners,
        Listed, //
    },
    uapi::{
        self,
        ArrayHead,
        Domain,
        MAX_ALIGNMENT,
        MAX_CPU_SIZE, //
    }, //
};

/// `DRM_IOCTL_PDDGPU_QUERY`.
pub(super) struct Query;

impl Ioctl for Query {
    type Driver = PddgpuDrm;
    type Argument = uapi::drm_pddgpu_query;
    const COMMAND: u32 = uapi::DRM_IOCTL_PDDGPU_QUERY;

    fn call(dev: &PddgpuDevice, args: &mut Self::Argument, file: &PddgpuFile) -> Result {
        match args.query {
            uapi::DRM_PDDGPU_QUERY_DEVICE => answer(args, &[device(dev).as_bytes()]),
            uapi::DRM_PDDGPU_QUERY_HEAPS => {
                let heaps = Domain::ALL.map(|domain| heap(dev, domain));
                let head = ArrayHead::new::<uapi::drm_pddgpu_heap>(heaps.len())?;

                answer(args, &[head.as_bytes(), heaps.as_bytes()])
            }
            uapi::DRM_PDDGPU_QUERY_BUDGET => {
                let budgets = Domain::ALL.map(|domain| budget(dev, domain, file));
                let head = ArrayHead::new::<uapi::drm_pddgpu_budget>(budgets.len())?;

                answer(args, &[head.as_bytes(), budgets.as_bytes()])
            }
            uapi::DRM_PDDGPU_QUERY_MEMORY_STATS => memory_stats(dev, args),
            uapi::DRM_PDDGPU_QUERY_LEAKS => leaks(dev, args, file),
            uapi::DRM_PDDGPU_QUERY_OWNERS => {
                let listed = if capability::perfmon() {
                    Listed::All
                } else {
                    Listed::Only(file)
                };
                let owners = owners(dev, listed)?;
                let head = ArrayHead::new::<uapi::drm_pddgpu_owner>(owners.len())?;

                answer(args, &[head.as_bytes(), owners.as_bytes()])
            }
            _ => Err(EINVAL),
        }
    }
}

fn memory_stats(pdev: &Pddgpu, args: &mut uapi::drm_pddgpu_query) -> Result {
    let vram_free = pdev.gmc.vram_size().saturating_sub(pdev.vram.usage().used);
    let gtt_free = pdev.gmc.gtt_size().saturating_sub(pdev.gtt_used());

    // It has 1.6 KiB, for which there is room on the stack of a system call.
    answer(args, &[pdev.stats.query(vram_free, gtt_free).as_bytes()])
}

/// The leaks that the caller may see: all of them with `CAP_PERFMON` or `CAP_SYS_ADMIN`, or else
/// those that were created through the same file.
///
/// They are copied to user space one by one, so that the kernel needs no memory for a list that
/// clients make as long as they like.
fn leaks(pdev: &Pddgpu, args: &mut uapi::drm_pddgpu_query, file: &PddgpuFile) -> Result {
    const HEAD: usize = size_of::<ArrayHead>();
    const ENTRY: usize = size_of::<uapi::drm_pddgpu_leak>();
    let sees_all = capability::perfmon();
    let client = file.client_id();
    let size = usize::try_from(args.size)?;
    let data = usize::try_from(args.data)?;
    let entries = UserPtr::from_addr(data.wrapping_add(HEAD));
    let mut writer = UserSlice::new(entries, size.saturating_sub(HEAD)).writer();
    let mut walk = pdev.stats.walk(LeakState::Suspected)?;
    let mut count = 0;

    while let Some(leak) = walk.next(&pdev.stats, |leak| sees_all || leak.owner.client == client)? {
        let room = writer.len().min(ENTRY);

        writer.write_slice(&info::leak(&leak).as_bytes()[..room])?;
        count += 1;
    }

    // Their number is known last.
    let head = ArrayHead::new::<uapi::drm_pddgpu_leak>(count)?;
    let whole = HEAD + count * ENTRY;
    if size > 0 {
        let room = size.min(HEAD);

        UserSlice::new(UserPtr::from_addr(data), room)
            .writer()
            .write_slice(&head.as_bytes()[..room])?;
    }
    args.size = u32::try_from(if size > 0 { size.min(whole) } else { whole })?;
    Ok(())
}

/// Copies the answer, which is the concatenation of `parts`, to user space, as far as it has room.
fn answer(args: &mut uapi::drm_pddgpu_query, parts: &[&[u8]]) -> Result {
    let whole: usize = parts.iter().map(|part| part.len()).sum();
    let room = usize::try_from(args.size)?.min(whole);
    let data = UserPtr::from_addr(usize::try_from(args.data)?);
    let mut writer = UserSlice::new(data, room).writer();

    if args.size == 0 {
        args.size = u32::try_from(whole)?;
        return Ok(());
    }

    for part in parts {
        writer.write_slice(&part[..part.len().min(writer.len())])?;
    }
    args.size = u32::try_from(room)?;
    Ok(())
}

fn device(pdev: &Pddgpu) -> uapi::drm_pddgpu_query_device {
    uapi::drm_pddgpu_query_device {
        chip_id: pdev.gmc.chip.id(),
        chip_rev: pdev.gmc.revision,
        features: pdev.gmc.features,
        pad: 0,
        vram_start: pdev.gmc.vram.start,
        vram_size: pdev.gmc.vram_size(),
        visible_size: pdev.gmc.visible_size,
        gtt_start: pdev.gmc.gtt.start,
        gtt_size: pdev.gmc.gtt_size(),
        max_cpu_size: MAX_CPU_SIZE,
        max_alignment: MAX_ALIGNMENT,
    }
}

fn heap(pdev: &Pddgpu, domain: Domain) -> uapi::drm_pddgpu_heap {
    let heap = uapi::drm_pddgpu_heap {
        domain: domain as u32,
        ..Default::default()
    };

    match domain {
        Domain::Vram => {
            let usage = pdev.vram.usage();

            uapi::drm_pddgpu_heap {
                total: pdev.gmc.vram_size(),
                usable: pdev.vram.usable_now(),
                used: usage.used,
                reserved: usage.reserved,
                visible_total: pdev.gmc.visible_size,
                visible_used: usage.visible,
                ..heap
            }
        }
        Domain::Gtt => {
            let used = pdev.gtt_used();

            uapi::drm_pddgpu_heap {
                total: pdev.gmc.gtt_size(),
                usable: pdev.gtt.usable(),
                used,
                reserved: pdev.gtt_own(),
                visible_total: pdev.gmc.gtt_size(),
                visible_used: used,
                ..heap
            }
        }
        Domain::Cpu => {
            let used = ttm::usage(&pdev.bdev, MemType::System);
            let total = memory::total();

            uapi::drm_pddgpu_heap {
                total,
                usable: total,
                used,
                visible_total: total,
                visible_used: used,
                ..heap
            }
        }
    }
}

fn budget(pdev: &Pddgpu, domain: Domain, file: &PddgpuFile) -> uapi::drm_pddgpu_budget {
    let client = &file.data().client;
    let memory = client.memory(domain);
    let budget = uapi::drm_pddgpu_budget {
        domain: domain as u32,
        usage: memory.shared + memory.private,
        resident: memory.resident,
        displaced: client.displaced(domain),
        ..Default::default()
    };

    match domain {
        Domain::Vram => {
            let share = pdev.budgets.budget(client, pdev.vram.usable_now());

            uapi::drm_pddgpu_budget {
                budget: share.budget,
                reservation: share.reservation,
                reservable: share.reservable,
                ..budget
            }
        }
        // These are not shared out.
        Domain::Gtt | Domain::Cpu => uapi::drm_pddgpu_budget {
            budget: heap(pdev, domain).usable,
            ..budget
        },
    }
}
