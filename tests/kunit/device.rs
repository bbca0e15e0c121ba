// SPDX-License-Identifier: GPL-2.0

//! A card without hardware: the managers, of any size, on a faux device. Buffers on it have places but
//! no content: a move only says where they are.

use core::{
    ops::{
        Deref,
        Range, //
    },
    ptr::{
        addr_of_mut,
        from_ref, //
    }, //
};

use kernel::{
    device::{
        self,
        Bound, //
    },
    faux,
    page::PAGE_SHIFT,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};

use crate::{
    abstractions::{
        dma::{
            attachment::DmaBuf,
            fence::Fence, //
        },
        drm::{
            self,
            gem::Ref,
            Entered, //
        },
        gpu_buddy,
        ttm::{
            self,
            Aperture,
            BaseDevice,
            BaseManager,
            Locked,
            Manager,
            MemType,
            Move,
            Moved,
            Object,
            OperationCtx,
            Place,
            RefKind,
            Resource,
            Shrinker, //
        }, //
    },
    bindings::raw as bindings,
    memory_stats::{
        MemoryStats,
        Stats, //
    },
    mgr::{
        gtt_mgr::GttMgr,
        sys_mgr::SysMgr,
        vram_mgr::VramMgr, //
    }, //
};

/// How many [`Payload`]s are alive.
static PAYLOADS: Atomic<i32> = Atomic::new(0);

/// Kept with each buffer, and counted.
pub(crate) struct Payload(());

impl Payload {
    /// One more.
    pub(crate) fn new() -> Self {
        PAYLOADS.add(1, Relaxed);
        Self(())
    }

    /// How many are alive.
    pub(crate) fn alive() -> i32 {
        PAYLOADS.load(Relaxed)
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        PAYLOADS.add(-1, Relaxed);
    }
}

/// A buffer on the card.
pub(crate) type Buffer = Object<Driver>;

/// What the card has.
#[pin_data]
pub(crate) struct Memory {
    #[pin]
    pub(crate) vram: Manager<VramMgr>,
    #[pin]
    pub(crate) gtt: Manager<GttMgr>,
    #[pin]
    pub(crate) system: Manager<SysMgr>,
    pub(crate) stats: Arc<Stats>,
    bdev: Arc<BaseDevice>,
}

/// A device that reaches all memory.
pub(crate) fn reachable() -> Result<faux::Registration> {
    let faux = faux::Registration::new(c"pddgpu-kunit", None)?;
    let dev: &device::Device<Bound> = faux.as_ref().as_ref();
    let raw: *mut bindings::device = from_ref(dev).cast_mut().cast();

    // SAFETY: The device is ours and nobody maps anything for it yet.
    unsafe {
        (*raw).coherent_dma_mask = u64::MAX;
        (*raw).dma_mask = addr_of_mut!((*raw).coherent_dma_mask);
    }
    Ok(faux)
}

/// The card; the last of its buffers must go before it does.
pub(crate) struct Card {
    dev: ARef<drm::Device<Drm>>,
    faux: faux::Registration,
}

impl Card {
    /// A card with so many bytes.
    pub(crate) fn new(vram: u64, visible: u64, gtt: u64) -> Result<Self> {
        let faux = reachable()?;
        let parent: &device::Device<Bound> = faux.as_ref().as_ref();
        let dev = drm::Device::<Drm>::new(parent, |base| {
            pin_init::pin_init_scope(move || {
                let bdev = BaseDevice::new::<Driver>(parent, &base)?;
                let stats = MemoryStats::init(parent, [vram, visible, gtt, 0], || 0)?;

                // Tests fill it all the time.
                stats.set_limit_percent(100)?;

                Ok(try_pin_init!(Memory {
                    vram <- Manager::new(
                        bdev.clone(),
                        MemType::Vram,
                        vram,
                        None,
                        VramMgr::new(vram, visible, 0, stats.clone()),
                    ),
                    gtt <- Manager::new(
                        bdev.clone(),
                        MemType::Tt,
                        gtt,
                        None,
                        GttMgr::new(gtt, stats.clone()),
                    ),
                    system <- Manager::new(
                        bdev.clone(),
                        MemType::System,
                        0,
                        None,
                        Ok(SysMgr::new(stats.clone())),
                    ),
                    stats,
                    bdev,
                }? Error))
            })
        })?;

        Ok(Self { dev, faux })
    }

    /// A buffer of `pages`, aligned to `alignment` pages, in the first of `places` that has room.
    pub(crate) fn create(
        &self,
        pages: u64,
        alignment: u32,
        places: &[Place],
    ) -> Result<Ref<'_, Buffer>> {
        let size = usize::try_from(pages << PAGE_SHIFT)?;

        self.create_with(size, alignment, places, Ok(Payload::new()), Ok(()))
    }

    /// As [`create`](Card::create), with bytes, the payload or why there is none, and how the creation
    /// ends.
    pub(crate) fn create_with(
        &self,
        size: usize,
        alignment: u32,
        places: &[Place],
        payload: Result<Payload>,
        end: Result,
    ) -> Result<Ref<'_, Buffer>> {
        Object::new(
            &self.dev,
            &self.dev.bdev,
            size,
            alignment,
            places,
            payload,
            |_, _| end,
        )
    }

    /// Bytes of a kind of memory in use, as TTM counts them.
    pub(crate) fn ttm_usage(&self, mem_type: MemType) -> u64 {
        ttm::usage(&self.dev.bdev, mem_type)
    }

    /// A shrinker for its buffers.
    pub(crate) fn shrinker(&self) -> Result<Shrinker<Driver>> {
        Shrinker::new(self.dev.clone())
    }

    /// The card's DRM side.
    pub(crate) fn drm(&self) -> &drm::Device<Drm> {
        &self.dev
    }

    /// Waits for the memory of buffers that are free.
    pub(crate) fn wait_for_delayed_deletes(&self) {
        self.dev.bdev.wait_for_delayed_deletes();
    }

    /// Has `print` print to the log.
    pub(crate) fn log(&self, print: impl FnOnce(&drm::Printer)) {
        drm::Printer::with_info(self.faux.as_ref().as_ref(), print);
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        self.dev.stats.stop();
    }
}

impl Deref for Card {
    type Target = Memory;

    fn deref(&self) -> &Memory {
        &self.dev
    }
}

/// The card's DRM side.
pub(crate) struct Drm;

impl drm::Types for Drm {
    type Module = crate::LocalModule;
    type Data = Memory;
    type File = ();
    type Object = Buffer;
}

impl drm::Driver for Drm {
    const INFO: drm::DriverInfo = drm::DriverInfo {
        major: 1,
        minor: 0,
        patchlevel: 0,
        name: c"pddgpu-kunit",
        desc: c"PDDGPU memory without a card",
    };
    const IOCTLS: &'static [drm::ioctl::Descriptor] = &[];

    fn open(_dev: &drm::Device<Self>, _events: Arc<drm::EventSink>) -> Result<Pin<KBox<()>>> {
        Ok(KBox::pin((), GFP_KERNEL)?)
    }

    fn release(dev: &drm::Device<Self>) {
        dev.bdev.drain_delayed_deletes();
    }

    fn debugfs_init(_dir: &drm::debugfs::Dir<'_, Self>) {}
}

impl drm::prime::ImportForeign for Drm {
    fn import<'a>(_dev: &'a drm::Device<Self>, _buf: &DmaBuf) -> Result<Ref<'a, Buffer>> {
        Err(ENOTSUPP)
    }
}

impl drm::CreateDumb for Drm {
    fn create_dumb(_dev: &drm::Device<Self>, _file: &drm::File<Self>, _size: u64) -> Result<u32> {
        Err(ENOTSUPP)
    }
}

impl drm::ShowFdinfo for Drm {
    fn show_fdinfo(_dev: &drm::Device<Self>, _file: &drm::File<Self>, _p: &drm::Printer) {}
}

/// The card's TTM side.
pub(crate) struct Driver;

impl ttm::Types for Driver {
    type Drm = Drm;
    type Object = Payload;
}

impl ttm::Driver for Driver {
    type Ranges<'a> = gpu_buddy::Ranges<'a>;
    type Moving<'a> = ();

    fn aperture(_dev: &drm::Device<Drm>) -> &Aperture {
        panic!("nothing touches the content of VRAM that is not there")
    }

    fn ranges<'a>(
        dev: &'a drm::Device<Drm>,
        res: &'a Resource,
        skip: u64,
    ) -> gpu_buddy::Ranges<'a> {
        dev.vram
            .get(res)
            .map_or(gpu_buddy::Ranges::empty(), |vram| vram.ranges_from(skip))
    }

    fn evict_places(bo: &Locked<'_, Self>) -> &'static [Place] {
        const GTT: Place = Place::anywhere(MemType::Tt);
        const SYSTEM: Place = Place::anywhere(MemType::System);

        match bo.resource().and_then(Resource::mem_type) {
            Some(MemType::Vram) => &[GTT, SYSTEM],
            _ => &[SYSTEM],
        }
    }

    fn managers_of_pages(dev: &drm::Device<Drm>) -> [&BaseManager; 2] {
        [dev.system.base(), dev.gtt.base()]
    }

    type Binding = ();

    fn bind(
        _entered: &Entered<'_>,
        _dev: &drm::Device<Drm>,
        _res: &Resource,
        _pages: &[Range<u64>],
    ) -> Option<()> {
        None
    }

    fn unbind(_entered: &Entered<'_>, _dev: &drm::Device<Drm>, _binding: ()) {}

    fn move_(_bo: &Locked<'_, Self>, _new: &Resource, _ctx: &mut OperationCtx) -> Result<Move> {
        Ok(Move::Null)
    }

    fn move_start<'a>(_bo: &Locked<'a, Self>, _new: &Resource, _evict: bool) {}

    fn move_end(_bo: &Locked<'_, Self>, _moving: (), _result: &Result<Moved>) {}

    fn free_start(_object: &Buffer) {}

    fn free_end(_object: &Buffer) {}

    fn handle_added(_object: &Payload, _client: &()) -> Result {
        Ok(())
    }

    fn handle_dropped(_object: &Payload, _client: &()) {}

    fn export_added(_object: &Payload) -> Result {
        Ok(())
    }

    fn exported(_object: &Payload, _buf: &DmaBuf) {}

    fn export_dropped(_object: &Payload) {}

    fn may_purge(_object: &Payload) -> bool {
        false
    }

    fn purged(_bo: &Locked<'_, Self>) {}

    fn purgeable_pages(_dev: &drm::Device<Drm>) -> u64 {
        0
    }

    fn ref_added(_object: &Payload, _kind: RefKind) {}

    fn ref_dropped(_object: &Payload, _kind: RefKind) {}

    fn is_accessible(_bo: &Locked<'_, Self>) -> Result<bool> {
        Err(EIO)
    }

    fn make_accessible(_object: &Buffer) -> Result {
        Err(EIO)
    }

    fn is_own(_dev: &drm::Device<Drm>, _fence: &Fence) -> bool {
        true
    }

    fn is_ordered(_dev: &drm::Device<Drm>, _fence: &Fence) -> bool {
        true
    }

    fn may_evict(_bo: &Locked<'_, Self>, _place: Option<&Place>) -> bool {
        true
    }

    fn may_mmap(_object: &Payload) -> Result {
        Err(EPERM)
    }
}
