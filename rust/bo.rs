// SPDX-License-Identifier: GPL-2.0

//! Buffer objects: creation, moves, placement policy, and the answers to TTM's questions about
//! them.
//!
//! [`pddgpu_bo_create`] and [`pddgpu_bo_move`] serve the ioctls. [`BoDriver`] implements
//! [`ttm::Driver`]: it tells TTM where a buffer may be evicted to, how it is moved from one kind of
//! memory to another, and what to do before its memory is freed.

mod placement;

use core::ops::Range;

use kernel::{
    page::PAGE_SHIFT,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        }, //
    }, //
};

use crate::{
    abstractions::{
        dma::fence::Fence,
        drm::{
            self,
            Entered, //
        },
        gpu_buddy,
        ttm::{
            self,
            Aperture,
            BaseManager,
            Locked,
            MemType,
            Move,
            Moved,
            Object,
            OperationCtx,
            Place,
            RefKind,
            Resource, //
        }, //
    },
    copy_engine::{
        CopyEnd,
        Ranges, //
    },
    device::{
        ModuleRoot,
        Pddgpu,
        PddgpuDevice,
        PddgpuDrm, //
    },
    memory_stats::{
        leak::Tracking,
        FreeStart,
        MoveGuard, //
    },
    mgr::vram_mgr::VramResource,
    uapi::{
        BoParam,
        CreateFlag,
        Domain, //
    }, //
};

use self::placement::{
    capacity,
    placement_from_domain,
    visible_vram, //
};

/// What this driver keeps with each buffer.
#[pin_data]
pub(crate) struct BoData {
    /// The checked arguments of the creation.
    pub(crate) param: BoParam,
    /// The buffer's entry in the leak detector.
    #[pin]
    pub(crate) tracking: Tracking,
    /// Whether the creation succeeded. Only then is the free counted.
    created: Atomic<bool>,
    free_start: FreeStart,
}

/// A buffer.
pub(crate) type Bo = Object<BoDriver>;

/// This driver's implementation of [`ttm::Driver`].
pub(crate) struct BoDriver;

impl ttm::Types for BoDriver {
    type Drm = PddgpuDrm;
    type Object = BoData;
}

// Here rather than with the device, which does not know about buffers.
impl drm::Types for PddgpuDrm {
    type Module = <Self as ModuleRoot>::Module;
    type Data = Pddgpu;
    type File = ();
    type Object = Bo;
}

/// Creates a buffer.
///
/// # Errors
///
/// `E2BIG` for a size that none of the domains could ever hold; `ENOSPC` if none of them has room
/// now; `ENOMEM`; `EIO` for VRAM if the copy engine is wedged; `ENODEV` once the card is unplugged;
/// `ERESTARTSYS` on a signal. A failed creation leaves no buffer and no memory allocated.
pub(crate) fn pddgpu_bo_create(dev: &PddgpuDevice, bp: &BoParam, client: u64) -> Result<ARef<Bo>> {
    let guard = dev.stats.alloc_start();
    let result = bo_create(dev, bp, client);

    guard.alloc_end(match &result {
        Ok(bo) => Ok(&bo.tracking),
        Err(err) => Err(*err),
    });
    result
}

fn bo_create(dev: &PddgpuDevice, bp: &BoParam, client: u64) -> Result<ARef<Bo>> {
    let mut places = KVec::with_capacity(Domain::ALL.len(), GFP_KERNEL)?;

    for domain in Domain::ALL {
        if bp.domains.contains(domain) && bp.size <= capacity(dev, domain, bp.flags) {
            places.push(placement_from_domain(dev, domain, bp.flags), GFP_KERNEL)?;
        }
    }
    if places.is_empty() {
        return Err(E2BIG);
    }

    let size = usize::try_from(bp.size)?;
    retry_after_delayed_delete(dev, || {
        Bo::new(
            dev,
            &dev.bdev,
            size,
            bp.alignment,
            &places,
            try_pin_init!(BoData {
                param: *bp,
                tracking <- dev.stats.track(*bp, client),
                created: Atomic::new(false),
                free_start: FreeStart::new(),
            }? Error),
            |bo, ctx| {
                clear(bo, ctx)?;

                bo.object().created.store(true, Relaxed);
                Ok(())
            },
        )
    })
}

/// Calls `f`. If it fails with `ENOSPC`, waits for the delayed deletes that are pending and calls
/// it a second time.
///
/// A freed VRAM buffer stays allocated until the copy engine has wiped it. An eviction skips such a
/// buffer while the worker of its delayed delete holds its lock. So there may be room a moment
/// later although nothing more could be evicted.
fn retry_after_delayed_delete<R>(pdev: &Pddgpu, mut f: impl FnMut() -> Result<R>) -> Result<R> {
    match f() {
        Err(ENOSPC) => {
            pdev.bdev.wait_for_delayed_deletes();
            f()
        }
        result => result,
    }
}

/// Zeroes a new buffer. Memory that is known to be zero already is left out.
fn clear(bo: &Locked<'_, BoDriver>, ctx: &mut OperationCtx) -> Result {
    let pdev = bo.dev();

    match (
        &pdev.engine,
        bo.resource().and_then(|res| pdev.vram.get(res)),
    ) {
        (Some(engine), Some(vram)) => {
            let dirty = vram_addresses(pdev, vram.dirty())?;

            if !dirty.is_empty() {
                let slot = bo.reserve_fence()?;

                slot.add(&*engine.clear(pdev.enter()?.parent(), dirty)?);
            }
            Ok(())
        }
        _ => bo.clear(ctx),
    }
}

/// The GPU addresses of VRAM.
fn vram_addresses(pdev: &Pddgpu, ranges: impl Iterator<Item = Range<u64>>) -> Result<Ranges> {
    let base = pdev.gmc.vram.start;

    Ranges::new(ranges.map(|range| base + range.start..base + range.end))
}

/// Describes a resource of a buffer to the copy engine, as one end of a copy.
fn copy_end(bo: &Locked<'_, BoDriver>, res: &Resource, entered: &Entered<'_>) -> Result<CopyEnd> {
    let pdev = bo.dev();

    if let Some(vram) = pdev.vram.get(res) {
        return Ok(CopyEnd::Mapped(vram_addresses(pdev, vram.ranges())?));
    }
    if let Some(page) = res.start() {
        let start = pdev.gmc.gtt.start + (page << PAGE_SHIFT);

        return Ok(CopyEnd::Mapped(Ranges::new(core::iter::once(
            start..start + bo.object().size(),
        ))?));
    }

    let pages = bo.bus_addresses(entered)?.ok_or(EINVAL)?;
    Ok(CopyEnd::SystemPages(Ranges::new(pages.iter().cloned())?))
}

/// Moves a buffer and its content to a domain.
///
/// The copy engine does the copy after this function has returned. The buffer carries the fence of
/// the copy, and everything that accesses the content waits for that fence. On a card without a
/// copy engine the CPU copies before the function returns; then a move to VRAM goes into the
/// aperture.
///
/// # Errors
///
/// `E2BIG` for a buffer that the domain could never hold; `EBUSY` for a pinned buffer; `EIO` if the
/// copy engine is wedged; `ENOSPC`, `ENOMEM`, `ENODEV`, `ERESTARTSYS`.
pub(crate) fn pddgpu_bo_move(bo: &Bo, domain: Domain) -> Result {
    retry_after_delayed_delete(bo.dev(), || bo_move(bo, domain))
}

fn bo_move(bo: &Bo, domain: Domain) -> Result {
    let pdev = bo.dev();
    let mut locked = bo.reserve()?;

    // A move that failed after its hop leaves the buffer in GTT without a GPU address. Moving it to
    // GTT again gives it one.
    let here = BoPlacement::new(&locked);
    if here.domain == Some(domain) && (domain != Domain::Gtt || here.gpu_addr.is_some()) {
        locked.used();
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
    locked.validate(&[place], &mut OperationCtx::interruptible())
}

/// Where a buffer is.
pub(crate) struct BoPlacement {
    /// The domain; [`None`] for a buffer without memory.
    pub(crate) domain: Option<Domain>,
    /// GPU address of the first byte, if the buffer is one range of GPU addresses.
    pub(crate) gpu_addr: Option<u64>,
    /// Bytes of the buffer that the CPU can access where they are now.
    pub(crate) visible: u64,
}

/// The domain a buffer is in, and the bytes of it that the CPU can reach.
fn domain_and_visible(bo: &Locked<'_, BoDriver>) -> (Option<Domain>, u64) {
    let res = bo.resource();
    let visible = match res.and_then(|res| bo.dev().vram.get(res)) {
        Some(vram) => vram.visible(),
        None => bo.object().size(),
    };

    (res.and_then(Domain::from_resource), visible)
}

impl BoPlacement {
    /// Where `bo` is now.
    pub(crate) fn new(bo: &Locked<'_, BoDriver>) -> Self {
        let pdev = bo.dev();
        let (domain, visible) = domain_and_visible(bo);
        let window = match domain {
            Some(Domain::Vram) => Some(pdev.gmc.vram.start),
            Some(Domain::Gtt) => Some(pdev.gmc.gtt.start),
            Some(Domain::Cpu) | None => None,
        };

        Self {
            domain,
            gpu_addr: window
                .zip(bo.resource().and_then(Resource::start))
                .map(|(window, page)| window + (page << PAGE_SHIFT)),
            visible,
        }
    }
}

impl ttm::Driver for BoDriver {
    type Ranges<'a> = gpu_buddy::Ranges<'a>;

    fn aperture(dev: &PddgpuDevice) -> &Aperture {
        &dev.aperture
    }

    fn ranges<'a>(dev: &'a PddgpuDevice, res: &'a Resource) -> gpu_buddy::Ranges<'a> {
        dev.vram
            .get(res)
            .map_or(gpu_buddy::Ranges::empty(), VramResource::ranges)
    }

    fn evict_places(bo: &Locked<'_, Self>) -> &'static [Place] {
        const GTT: Place = Place::anywhere(MemType::Tt);
        const SYSTEM: Place = Place::anywhere(MemType::System);

        match bo.resource().and_then(Resource::mem_type) {
            Some(MemType::Vram) => &[GTT, SYSTEM],
            _ => &[SYSTEM],
        }
    }

    fn shrink_order(dev: &PddgpuDevice) -> [&BaseManager; 2] {
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
        let pdev = bo.dev();
        let Some(old) = bo.resource() else {
            return Ok(Move::Null);
        };

        Ok(match (old.mem_type(), new.mem_type()) {
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
    }

    /// Has the copy engine zero the VRAM of a freed buffer, so that its next owner need not wait
    /// for that.
    fn release(bo: &Locked<'_, Self>) -> Option<ARef<Fence>> {
        let pdev = bo.dev();
        let engine = pdev.engine.as_ref()?;
        let vram = pdev.vram.get(bo.resource()?)?;
        let entered = pdev.enter().ok()?;
        let all = vram_addresses(pdev, vram.ranges()).ok()?;
        let fence = engine.clear(entered.parent(), all).ok()?;

        vram.set_wiped();
        Some(fence)
    }

    fn free_start(bo: &Bo) {
        bo.dev().stats.free_start(&bo.free_start);
    }

    fn free_end(bo: &Bo) {
        if bo.created.load(Relaxed) {
            bo.dev().stats.free_end(&bo.tracking, &bo.free_start);
        }
    }

    fn ref_added(object: &BoData, kind: RefKind) {
        object.tracking.ref_added(kind);
    }

    fn ref_dropped(object: &BoData, kind: RefKind) {
        object.tracking.ref_dropped(kind);
    }

    fn make_accessible(bo: &mut Locked<'_, Self>) -> Result {
        let pdev = bo.dev();
        let visible = BoPlacement::new(bo).visible;

        if bo.resource().is_none() {
            return Err(EINVAL);
        }
        // A copy or a clear that failed may have left another client's data in this buffer's
        // memory.
        if pdev.is_wedged() {
            return Err(EIO);
        }
        if visible == bo.object().size() {
            return Ok(());
        }
        if bo.pin_count() > 0 {
            return Err(EINVAL);
        }

        let places = [
            visible_vram(pdev, bo.object().param.flags).desired(),
            Place::anywhere(MemType::Tt),
        ];
        bo.validate(&places, &mut OperationCtx::interruptible())
    }

    fn may_mmap(object: &BoData) -> Result {
        if object.param.flags.contains(CreateFlag::NoCpuAccess) {
            return Err(EPERM);
        }
        Ok(())
    }
}
