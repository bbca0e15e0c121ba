// SPDX-License-Identifier: GPL-2.0

//! `/proc/PID/fdinfo`: what a client has of the card.
//!
//! The keys are those of [`drm-usage-stats`](srctree/Documentation/gpu/drm-usage-stats.rst), and of
//! `docs/abi.md`.

use crate::{
    abstractions::drm::{
        drm_print,
        Printer,
        ShowFdinfo, //
    },
    device::{
        PddgpuDevice,
        PddgpuDrm,
        PddgpuFile, //
    },
    uapi::Domain, //
};

impl ShowFdinfo for PddgpuDrm {
    fn show_fdinfo(dev: &PddgpuDevice, file: &PddgpuFile, p: &Printer) {
        let client = &file.data().client;

        for (domain, region) in [
            (Domain::Vram, c"vram"),
            (Domain::Gtt, c"gtt"),
            (Domain::Cpu, c"cpu"),
        ] {
            p.memory_stats(region, &client.memory(domain));
        }

        let vram = client.memory(Domain::Vram);
        let share = dev.budgets.budget(client, dev.vram.usable_now());
        let kib = |bytes: u64| bytes >> 10;
        drm_print!(
            p,
            "pddgpu-requested-vram:\t{} KiB\npddgpu-displaced-vram:\t{} KiB\npddgpu-budget-vram:\t{} KiB\npddgpu-reserved-vram:\t{} KiB\n",
            kib(vram.shared + vram.private),
            kib(client.displaced(Domain::Vram)),
            kib(share.budget),
            kib(share.reservation)
        );

        if dev.engine.is_some() {
            drm_print!(
                p,
                "drm-engine-copy:\t{} ns\ndrm-engine-capacity-copy:\t1\n",
                client.engine_time()
            );
        }
    }
}
