// SPDX-License-Identifier: GPL-2.0

//! What TTM asks the driver about its buffers: [`ttm::Driver`].

use core::ops::Range;

use kernel::{
    page::PAGE_SHIFT,
    prelude::*,
    sync::atomic::Relaxed, //
};

use crate::{
    abstractions::{
        dma::{
            attachment::DmaBuf,
            fence::Fence, //
        },
        drm::Entered,
        gpu_buddy,
        ttm::{
            self,
            Aperture,
            BaseManager,
            Locked,
            MemType,
            Move,
            Moved,
            OperationCtx,
            Place,
            RefKind,
            Resource, //
        }, //
    },
    bo::{
        advice::{
            forget_purgeable,
            purged, //
        },
        copy_end::copy_end,
        loss,
        object::{
            booked,
            domain_and_visible,
            Bo,
            BoData,
            BoDriver, //
        },
        placement::visible_vram,
        returning,
        room::{
            is_victim,
            make_room,
            may_evict_used, //
        }, //
    },
    client::Content,
    copy_engine::{
        Engine,
        JobOwner, //
    },
    device::{
        FileData,
        PddgpuDevice, //
    },
    memory_stats::MoveGuard,
    uapi::{
        CreateFlag,
        Domain, //
    }, //
};

impl ttm::Driver for BoDriver {
    type Ranges<'a> = gpu_buddy::Ranges<'a>;

    fn aperture(dev: &PddgpuDevice) -> &Aperture {
        &dev.aperture
    }

    fn ranges<'a>(dev: &'a PddgpuDevice, res: &'a Resource, skip: u64) -> gpu_buddy::Ranges<'a> {
        dev.vram
            .get(res)
            .map_or(gpu_buddy::Ranges::empty(), |vram| vram.ranges_from(skip))
    }

    fn evict_places(bo: &Locked<'_, Self>) -> &'static [Place] {
        const GTT: Place = Place::anywhere(MemType::Tt);
        const SYSTEM: Place = Place::anywhere(MemType::System);

        match bo.resource().and_then(Resource::mem_type) {
            // It is dropped on the way.
            Some(MemType::Vram) if Self::may_purge(bo.object()) => &[SYSTEM],
            Some(MemType::Vram) => &[GTT, SYSTEM],
            _ => &[SYSTEM],
        }
    }

    fn managers_of_pages(dev: &PddgpuDevice) -> [&BaseManager; 2] {
        [dev.system.base(), dev.gtt.base()]
    }

    /// Pages of the GTT window.
    type Binding = Range<u64>;

    fn bind(
        entered: &Entered<'_>,
        dev: &PddgpuDevice,
        res: &Resource,
        pages: &[Range<u64>],
    ) -> Option<Range<u64>> {
        let engine = dev.engine.as_ref()?;
        let first = res.start()?;
        let end = engine
            .gart()
            .map(entered.parent(), first, pages.iter().cloned())
            .ok()?;

        Some(first..end)
    }

    fn unbind(entered: &Entered<'_>, dev: &PddgpuDevice, pages: Range<u64>) {
        if let Some(engine) = &dev.engine {
            // The pages were mapped before, so they are inside the table and this cannot fail.
            let _ = engine.gart().unmap(entered.parent(), pages);
        }
    }

    fn move_(bo: &Locked<'_, Self>, new: &Resource, ctx: &mut OperationCtx) -> Result<Move> {
        let decision = decide(bo, new, ctx)?;

        if !matches!(decision, Move::Hop(_)) {
            bo.object().holders.leave();
        }
        Ok(decision)
    }

    type Moving<'a> = Option<MoveGuard<'a>>;

    fn move_start<'a>(bo: &Locked<'a, Self>, new: &Resource, evict: bool) -> Option<MoveGuard<'a>> {
        let from = bo.resource().and_then(Domain::from_resource)?;
        let to = Domain::from_resource(new)?;

        Some(
            bo.dev()
                .stats
                .move_start(&bo.object().tracking, from, to, evict),
        )
    }

    fn move_end(bo: &Locked<'_, Self>, moving: Option<MoveGuard<'_>>, result: &Result<Moved>) {
        if let Some(guard) = moving {
            guard.move_end(result);
        }
        let (domain, visible) = domain_and_visible(bo);

        bo.object().tracking.placed(domain, visible);
        let before = bo.object().holders.set_place(domain);
        if let Some(booked) = bo.resource().and_then(|res| booked(bo.dev(), res)) {
            bo.object().holders.arrived(booked);
        }
        returning::moved(bo.object(), before, domain);
    }

    fn free_start(bo: &Bo) {
        bo.dev().stats.free_start(&bo.free_start);
        bo.holders.freed();
    }

    fn free_end(bo: &Bo) {
        forget_purgeable(bo);
        returning::gone(bo);
        if bo.created.load(Relaxed) {
            bo.dev().stats.free_end(&bo.tracking, &bo.free_start);
        }
    }

    fn handle_added(object: &BoData, file: &FileData) -> Result {
        object.holders.add_handle(&file.client)?;
        object.tracking.ref_added(RefKind::Handle);
        Ok(())
    }

    fn handle_dropped(object: &BoData, file: &FileData) {
        object.holders.remove_handle(&file.client);
        object.tracking.ref_dropped(RefKind::Handle);
    }

    fn export_added(object: &BoData) -> Result {
        object.holders.add_export()?;
        object.tracking.ref_added(RefKind::Export);
        Ok(())
    }

    fn exported(object: &BoData, buf: &DmaBuf) {
        object.tracking.set_dma_buf(buf.inode());
    }

    fn export_dropped(object: &BoData) {
        if object.holders.remove_export() == 0 {
            object.tracking.set_dma_buf(0);
        }
        object.tracking.ref_dropped(RefKind::Export);
    }

    fn may_purge(object: &BoData) -> bool {
        object.holders.content() != Content::Needed
    }

    fn purged(bo: &Locked<'_, Self>) {
        purged(bo);
    }

    fn purgeable_pages(dev: &PddgpuDevice) -> u64 {
        u64::try_from(dev.purgeable.load(Relaxed)).unwrap_or(0) >> PAGE_SHIFT
    }

    fn ref_added(object: &BoData, kind: RefKind) {
        if kind == RefKind::Mapping {
            object.holders.add_mapping();
        }
        object.tracking.ref_added(kind);
    }

    fn ref_dropped(object: &BoData, kind: RefKind) {
        if kind == RefKind::Mapping {
            object.holders.remove_mapping();
        }
        object.tracking.ref_dropped(kind);
    }

    fn is_accessible(bo: &Locked<'_, Self>) -> Result<bool> {
        // A copy or a clear that failed may have left another client's data in this buffer's
        // memory.
        bo.dev().check_engine()?;
        if bo.object().holders.content() == Content::Purged {
            return Err(EFAULT);
        }
        if bo.resource().is_none() {
            return Err(EINVAL);
        }
        if loss::is_stale(bo) {
            return Ok(false);
        }
        Ok(domain_and_visible(bo).1 == bo.object().size())
    }

    fn make_accessible(bo: &Bo) -> Result {
        let pdev = bo.dev();
        let places = [
            visible_vram(pdev, bo.param.flags).desired(),
            Place::anywhere(MemType::Tt),
        ];

        loop {
            let result = make_room(pdev, None, |room| {
                let mut locked = room.reserve(bo)?;

                loss::settle(&locked, &mut OperationCtx::interruptible())?;
                if Self::is_accessible(&locked)? {
                    return Ok(());
                }
                if locked.is_in_use() {
                    return Err(EAGAIN);
                }
                bo.residency.set_for_cpu();
                locked.validate(&places, &mut OperationCtx::interruptible())
            });

            match result {
                // As for a move that user space asks for: nothing is held during the wait.
                Err(EAGAIN) => bo.wait_for_all()?,
                result => return result,
            }
        }
    }

    fn is_own(_dev: &PddgpuDevice, fence: &Fence) -> bool {
        Engine::has_published(fence)
    }

    fn is_ordered(dev: &PddgpuDevice, fence: &Fence) -> bool {
        dev.engine
            .as_ref()
            .is_some_and(|engine| engine.is_queued(fence))
    }

    fn may_evict(bo: &Locked<'_, Self>, place: Option<&Place>) -> bool {
        if bo.is_in_use() && !may_evict_used(bo.dev()) {
            return false;
        }
        // A cgroup that has too much has to give it back, whoever has it.
        place.is_none()
            || bo.resource().and_then(Resource::mem_type) != Some(MemType::Vram)
            || is_victim(bo)
    }

    fn may_mmap(object: &BoData) -> Result {
        if object.param.flags.contains(CreateFlag::NoCpuAccess) {
            return Err(EPERM);
        }
        Ok(())
    }
}

/// Decides how to move a buffer to `new`, and starts the copy if the engine does it.
fn decide(bo: &Locked<'_, BoDriver>, new: &Resource, ctx: &mut OperationCtx) -> Result<Move> {
    let pdev = bo.dev();
    let Some(old) = bo.resource() else {
        return Ok(Move::Null);
    };

    loss::settle(bo, ctx)?;

    // Only if there was no other way to make room.
    if bo.is_in_use() {
        bo.wait(ctx)?;
    }
    Ok(match (old.mem_type(), new.mem_type()) {
        // An eviction, see `evict_places()`. Any other move takes the content along.
        (Some(MemType::Vram), Some(MemType::System))
            if <BoDriver as ttm::Driver>::may_purge(bo.object()) =>
        {
            bo.wait(ctx)?;
            purged(bo);
            Move::Drop
        }
        (Some(MemType::Vram), Some(MemType::System))
        | (Some(MemType::System), Some(MemType::Vram)) => {
            Move::Hop(Place::anywhere(MemType::Tt).temporary())
        }
        (Some(MemType::Vram), _) | (_, Some(MemType::Vram)) => match &pdev.engine {
            Some(engine) => {
                let entered = pdev.enter()?;

                Move::Fenced(engine.copy(
                    entered.parent(),
                    copy_end(bo, old, &entered)?,
                    copy_end(bo, new, &entered)?,
                    JobOwner::of(&bo.object().holders),
                )?)
            }
            None => Move::Copy,
        },
        _ => {
            // GTT to system frees the GTT addresses. The copy engine may still be using them.
            if old.start().is_some() {
                bo.wait(ctx)?;
            }
            Move::Null
        }
    })
}
