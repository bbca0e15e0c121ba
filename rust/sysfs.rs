// SPDX-License-Identifier: GPL-2.0

//! The card's files in sysfs, `mem_info_*`, which have the names and the meaning that they have for
//! amdgpu. All are in bytes.

use kernel::{
    device::{
        Bound,
        Device, //
    },
    prelude::*,
    sync::aref::ARef, //
};

use crate::{
    abstractions::sysfs::{
        Number,
        Numbers, //
    },
    device::PddgpuDevice, //
};

/// The files of a card.
pub(crate) type MemInfo<'bound> = Numbers<'bound, PddgpuDevice>;

fn number(name: &'static CStr, read: fn(&PddgpuDevice) -> u64) -> Number<PddgpuDevice> {
    Number { name, read }
}

/// Makes the files of a card.
///
/// # Errors
///
/// Those of [`Numbers::new`].
pub(crate) fn init<'bound>(
    dev: &'bound Device<Bound>,
    ddev: ARef<PddgpuDevice>,
) -> Result<MemInfo<'bound>> {
    Numbers::new(
        dev,
        ddev,
        &[
            number(c"mem_info_vram_total", |pdev| pdev.gmc.vram_size()),
            number(c"mem_info_vram_used", |pdev| pdev.vram.usage().used),
            number(c"mem_info_vis_vram_total", |pdev| pdev.gmc.visible_size),
            number(c"mem_info_vis_vram_used", |pdev| pdev.vram.usage().visible),
            number(c"mem_info_gtt_total", |pdev| pdev.gmc.gtt_size()),
            number(c"mem_info_gtt_used", |pdev| pdev.gtt_used()),
        ],
    )
}
