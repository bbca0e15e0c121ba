// SPDX-License-Identifier: GPL-2.0

//! Moves of buffers that user space asks for.

use kernel::prelude::*;

use crate::{
    abstractions::ttm::OperationCtx,
    bo::{
        advice::check_needed,
        object::{
            Bo,
            BoPlacement, //
        },
        placement::{
            capacity,
            placement_from_domain,
            visible_vram, //
        },
        returning,
        room::{
            make_room,
            Room,
            Want, //
        }, //
    },
    device::PddgpuFile,
    uapi::{
        CreateFlag,
        Domain, //
    }, //
};

/// Moves a buffer and its content to a domain, for the client of `file`. The buffer should be there
/// from then on.
///
/// The copy engine does the copy after this function has returned. The buffer carries the fence of
/// the copy, and everything that accesses the content waits for that fence. On a card without a
/// copy engine the CPU copies before the function returns; then a move to VRAM goes into the
/// aperture.
///
/// # Errors
///
/// `EINVAL` for a buffer of another device's, which stays where it is; `E2BIG` for one that the domain could never hold; `EBUSY` for a pinned buffer; `EIO` if the
/// copy engine is wedged; `ENOSPC`, `ENOMEM`, `ENODEV`, `ERESTARTSYS`.
pub(crate) fn pddgpu_bo_move(bo: &Bo, domain: Domain, file: &PddgpuFile) -> Result {
    let want = (domain == Domain::Vram).then(|| Want {
        client: &file.data().client,
        bytes: bo.size(),
    });

    loop {
        match make_room(bo.dev(), want, |room| bo_move(bo, domain, file, room)) {
            // What others do with the buffer delays its own moves, and nobody else: so the wait is
            // here, where nothing is held.
            Err(EAGAIN) => bo.wait_for_all()?,
            result => return result,
        }
    }
}

fn bo_move(bo: &Bo, domain: Domain, file: &PddgpuFile, room: Room<'_>) -> Result {
    let pdev = bo.dev();
    let mut locked = room.reserve(bo)?;

    check_needed(bo)?;
    if bo.is_imported() && domain != Domain::Cpu {
        return Err(EINVAL);
    }

    // A move that failed after its hop leaves the buffer in GTT without a GPU address. Moving it to
    // GTT again gives it one.
    let here = BoPlacement::new(&locked);
    if here.domain == Some(domain) && (domain != Domain::Gtt || here.gpu_addr.is_some()) {
        locked.used();
        set_wanted(bo, domain);
        return Ok(());
    }

    let (place, flags) = match domain {
        Domain::Vram if pdev.engine.is_none() => (
            visible_vram(pdev, bo.param.flags),
            bo.param.flags | CreateFlag::CpuAccessRequired,
        ),
        Domain::Vram | Domain::Gtt | Domain::Cpu => (
            placement_from_domain(pdev, domain, bo.param.flags),
            bo.param.flags,
        ),
    };
    if bo.size() > capacity(pdev, domain, flags) {
        return Err(E2BIG);
    }
    if locked.is_in_use() {
        return Err(EAGAIN);
    }
    // What the client asks for is no displacement.
    let before = bo.holders.wanted();
    bo.holders.set_wanted(domain);
    bo.holders.serve(Some(file.data().client.clone()));
    let result = locked.validate(&[place], &mut OperationCtx::interruptible());
    bo.holders.serve(None);
    if result.is_ok() {
        set_wanted(bo, domain);
    } else {
        bo.holders.set_wanted(before);
        returning::changed(bo);
    }
    result
}

/// Notes that a buffer, whose resv is held, should be in a domain.
fn set_wanted(bo: &Bo, domain: Domain) {
    bo.holders.set_wanted(domain);
    bo.residency.reset();
    returning::changed(bo);
}
