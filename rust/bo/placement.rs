// SPDX-License-Identifier: GPL-2.0

//! Placement policy: which part of a domain a buffer is allocated from.

use kernel::page::PAGE_SHIFT;

use crate::{
    abstractions::ttm::{
        MemType,
        Place, //
    },
    device::Pddgpu,
    uapi::{
        CreateFlag,
        CreateFlags,
        Domain,
        MAX_CPU_SIZE, //
    }, //
};

/// Bytes of the largest buffer that a domain could hold if it were empty.
pub(super) fn capacity(pdev: &Pddgpu, domain: Domain, flags: CreateFlags) -> u64 {
    match domain {
        Domain::Cpu => MAX_CPU_SIZE,
        Domain::Gtt => pdev.gtt.usable(),
        Domain::Vram if flags.contains(CreateFlag::CpuAccessRequired) => pdev.vram.usable_visible(),
        Domain::Vram => pdev.vram.usable(),
    }
}

/// The place in a domain that a buffer with these flags is allocated from.
///
/// Buffers that need no CPU access are allocated from the end of VRAM, top down. This keeps the
/// aperture, which is at the start of VRAM, free for the buffers that need it.
pub(super) fn placement_from_domain(pdev: &Pddgpu, domain: Domain, flags: CreateFlags) -> Place {
    let place = Place::anywhere(domain.mem_type());

    match domain {
        Domain::Vram if flags.contains(CreateFlag::CpuAccessRequired) => visible_vram(pdev, flags),
        Domain::Vram if flags.contains(CreateFlag::VramContiguous) => place.topdown().contiguous(),
        Domain::Vram => place.topdown(),
        Domain::Gtt | Domain::Cpu => place,
    }
}

/// The part of VRAM that is inside the aperture.
pub(super) fn visible_vram(pdev: &Pddgpu, flags: CreateFlags) -> Place {
    let place = Place::anywhere(MemType::Vram).below(pdev.gmc.visible_size >> PAGE_SHIFT);

    if flags.contains(CreateFlag::VramContiguous) {
        place.contiguous()
    } else {
        place
    }
}
