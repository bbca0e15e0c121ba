// SPDX-License-Identifier: GPL-2.0

//! Buffers that have the memory of a dma-buf of another device.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

use crate::{
    abstractions::{
        dma::attachment::DmaBuf,
        drm::{
            gem::Ref,
            prime::ImportForeign, //
        },
        ttm::Priority, //
    },
    bo::{
        object::{
            Bo,
            BoData, //
        },
        residency::Residency, //
    },
    client::Holders,
    device::{
        PddgpuDevice,
        PddgpuDrm, //
    },
    memory_stats::FreeStart,
    uapi::{
        BoParam,
        Domain, //
    }, //
};

/// The number of the client of buffers that were imported: the DRM core does not say for whom.
const NO_CLIENT: u64 = 0;

impl ImportForeign for PddgpuDrm {
    /// Imports it into the CPU domain. The copy engine reaches it there through a transfer window.
    fn import<'a>(dev: &'a PddgpuDevice, buf: &DmaBuf) -> Result<Ref<'a, Bo>> {
        let guard = dev.stats.alloc_start();
        let result = import(dev, buf);

        guard.alloc_end(match &result {
            Ok(bo) => Ok(&bo.tracking),
            Err(err) => Err(*err),
        });
        result
    }
}

fn import<'a>(dev: &'a PddgpuDevice, buf: &DmaBuf) -> Result<Ref<'a, Bo>> {
    let bp = BoParam::new(buf.size() as u64, 0, Domain::Cpu as u32, 0)?;
    let bo = Bo::import(
        dev,
        &dev.bdev,
        buf,
        try_pin_init!(BoData {
            param: bp,
            holders: Holders::new(bp.size, Domain::Cpu, None, dev.stats.ledger.clone())?,
            tracking <- dev.stats.track(bp, NO_CLIENT),
            created: Atomic::new(false),
            free_start: FreeStart::new(),
            residency: Residency::new(),
            priority: Atomic::new(Priority::Normal as u32),
        }? Error),
    )?;

    bo.holders.set_id(bo.tracking.id);
    bo.created.store(true, Relaxed);
    bo.tracking.set_mmap_offset(bo.mmap_offset());
    bo.tracking.set_dma_buf(buf.inode());
    Ok(bo)
}
