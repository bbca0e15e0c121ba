// SPDX-License-Identifier: GPL-2.0

//! The creation of buffers.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

use crate::{
    abstractions::{
        drm::gem::Ref,
        ttm::{
            Locked,
            MemType,
            OperationCtx,
            Place,
            Priority,
            Reserved,
            Usage, //
        }, //
    },
    bo::{
        object::{
            vram_addresses,
            Bo,
            BoData,
            BoDriver, //
        },
        placement::{
            capacity,
            placement_from_domain, //
        },
        residency::Residency,
        room::{
            make_room,
            Room,
            Want, //
        }, //
    },
    client::Holders,
    copy_engine::JobOwner,
    device::{
        Pddgpu,
        PddgpuDevice,
        PddgpuFile, //
    },
    memory_stats::FreeStart,
    uapi::{
        BoParam,
        Domain, //
    }, //
};

/// Creates a buffer.
///
/// # Errors
///
/// `E2BIG` for a size that none of the domains could ever hold; `ENOSPC` if none of them has room
/// now; `ENOMEM`; `EIO` for VRAM if the copy engine is wedged; `ENODEV` once the card is unplugged;
/// `ERESTARTSYS` on a signal. A failed creation leaves no buffer and no memory allocated.
pub(crate) fn pddgpu_bo_create<'a>(
    dev: &'a PddgpuDevice,
    bp: &BoParam,
    file: &PddgpuFile,
) -> Result<Ref<'a, Bo>> {
    let guard = dev.stats.alloc_start();
    let result = bo_create(dev, bp, file);

    guard.alloc_end(match &result {
        Ok(bo) => Ok(&bo.tracking),
        Err(err) => Err(*err),
    });
    result
}

/// The places that could hold a buffer, and how many there are.
fn places(pdev: &Pddgpu, bp: &BoParam) -> ([Place; Domain::ALL.len()], usize) {
    let mut places = [const { Place::anywhere(MemType::System) }; Domain::ALL.len()];
    let mut count = 0;

    for domain in Domain::ALL {
        if bp.domains.contains(domain) && bp.size <= capacity(pdev, domain, bp.flags) {
            places[count] = placement_from_domain(pdev, domain, bp.flags);
            count += 1;
        }
    }
    (places, count)
}

fn bo_create<'a>(dev: &'a PddgpuDevice, bp: &BoParam, file: &PddgpuFile) -> Result<Ref<'a, Bo>> {
    let (places, count) = places(dev, bp);
    let places = &places[..count];
    let wanted = bp.domains.preferred().ok_or(EINVAL)?;
    if places.is_empty() {
        return Err(E2BIG);
    }

    let size = usize::try_from(bp.size)?;
    let new = |places: &[Place],
               finish: fn(&mut Reserved<'_, BoDriver>, &mut OperationCtx) -> Result| {
        Bo::new(
            dev,
            &dev.bdev,
            size,
            bp.alignment,
            places,
            data(dev, bp, wanted, file),
            finish,
        )
    };

    let create = |places: &[Place]| new(places, |bo, ctx| finish(bo, ctx));

    // Nothing is evicted for the CPU domain, so nobody has to be waited for.
    if bp.domains == Domain::Cpu.into() {
        return create(places);
    }
    let fits = bp.size <= capacity(dev, Domain::Vram, bp.flags);
    let want = (wanted == Domain::Vram && fits).then(|| Want {
        client: &file.data().client,
        bytes: bp.size,
    });
    make_room(dev, want, |room| match room {
        Room::Easy { entitled: false } => create(places),
        // Others make room in VRAM before it is put elsewhere.
        Room::Easy { entitled: true } => {
            let (first, rest) = places.split_first().ok_or(E2BIG)?;
            let mut places = [*first; Domain::ALL.len()];

            for (place, other) in places[1..].iter_mut().zip(rest) {
                *place = other.fallback();
            }
            create(&places[..count])
        }
        // TTM locks a new buffer without an acquire context. So this one gets its memory later.
        Room::Contended(acquire) => {
            let bo = new(&[], |_, _| Ok(()))?;
            let mut ctx = OperationCtx::interruptible();
            let mut locked = bo.reserve_in(acquire)?;

            locked.validate(places, &mut ctx)?;
            finish(&locked, &mut ctx)?;
            drop(locked);
            Ok(bo)
        }
    })
}

/// What the driver keeps with a buffer that the file's client is creating to be in `wanted`.
fn data<'a>(
    dev: &'a Pddgpu,
    bp: &'a BoParam,
    wanted: Domain,
    file: &'a PddgpuFile,
) -> impl PinInit<BoData, Error> + 'a {
    try_pin_init!(BoData {
        param: *bp,
        holders: Holders::new(
            bp.size,
            wanted,
            Some(file.data().client.clone()),
            dev.stats.ledger.clone(),
        )?,
        tracking <- dev.stats.track(*bp, file.client_id()),
        created: Atomic::new(false),
        free_start: FreeStart::new(),
        residency: Residency::new(),
        priority: Atomic::new(Priority::Normal as u32),
    }? Error)
}

fn finish(bo: &Locked<'_, BoDriver>, ctx: &mut OperationCtx) -> Result {
    clear(bo, ctx).inspect_err(|_| bo.object().holders.leave())?;
    bo.object().holders.set_id(bo.object().tracking.id);
    bo.object().holders.serve(None);
    bo.object().created.store(true, Relaxed);
    bo.object()
        .tracking
        .set_mmap_offset(bo.object().mmap_offset());
    Ok(())
}

/// Zeroes a new buffer. Memory that is known to be zero already is left out.
fn clear(bo: &Locked<'_, BoDriver>, ctx: &mut OperationCtx) -> Result {
    let pdev = bo.dev();

    match (
        &pdev.engine,
        bo.resource().and_then(|res| pdev.vram.get(res)),
    ) {
        (Some(engine), Some(vram)) => {
            // Nobody could use it, nor move it away, if the engine was given up.
            pdev.check_engine()?;
            let dirty = vram_addresses(pdev, vram.dirty())?;

            if !dirty.is_empty() {
                let slot = bo.reserve_fence()?;

                let owner = JobOwner::of(&bo.object().holders);

                let fence = engine.clear(pdev.enter()?.parent(), dirty, owner)?;
                slot.add(&fence, Usage::Kernel);
            }
            Ok(())
        }
        _ => bo.clear(ctx),
    }
}
