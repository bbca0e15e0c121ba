// SPDX-License-Identifier: GPL-2.0

//! A card as the driver keeps it: its memory managers, its statistics, its engine, and the DRM
//! device that holds them.

use kernel::{
    module::ModuleMetadata,
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        SpinLock, //
    },
    time::Msecs, //
};

use crate::{
    abstractions::{
        drm::{
            self,
            EventSink, //
        },
        ratelimit::RateLimit,
        ttm::{
            self,
            Aperture,
            BaseDevice,
            Manager,
            MemType, //
        },
        turnstile::Turnstile,
        workqueue::Schedule, //
    },
    client::{
        Budgets,
        Client,
        Member, //
    },
    copy_engine::{
        CopyEngine,
        EngineClient, //
    },
    hw::gmc::Gmc,
    memory_stats::Stats,
    mgr::{
        gtt_mgr::GttMgr,
        sys_mgr::SysMgr,
        vram_mgr::VramMgr, //
    }, //
};

/// This driver's implementation of [`drm::Driver`].
pub(crate) struct PddgpuDrm;

/// A card's DRM device.
pub(crate) type PddgpuDevice = drm::Device<PddgpuDrm>;

/// An open file of a card.
pub(crate) type PddgpuFile = drm::File<PddgpuDrm>;

/// The data of an open file of a card.
pub(crate) struct FileData {
    /// What the client has.
    pub(crate) client: Arc<Client>,
    /// Its jobs for the copy engine; [`None`] for a card without one.
    pub(crate) engine: Option<EngineClient>,
    _member: Member,
}

impl FileData {
    /// The data of a new client of a card, which is told things through `events`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(pdev: &Pddgpu, events: Arc<EventSink>) -> Result<Self> {
        let client = Client::new(events)?;

        Ok(Self {
            _member: pdev.budgets.join(&client)?,
            client,
            engine: match &pdev.engine {
                Some(engine) => Some(EngineClient::new(engine.clone())?),
                None => None,
            },
        })
    }
}

/// What the module macro makes in the crate root, for the modules below it.
pub(crate) trait ModuleRoot {
    /// The module.
    type Module: ModuleMetadata;

    /// The module parameter `debug_level`.
    fn debug_level() -> u32;
}

/// What is displaced: how much should be in VRAM and is not, and the worker that brings it back.
#[pin_data]
pub(crate) struct Returning {
    /// Bytes.
    displaced: Atomic<i64>,
    /// When the worker may search buffers again, in ms since boot.
    pub(crate) rest_until: Atomic<u64>,
    #[pin]
    worker: SpinLock<Option<Arc<dyn Schedule>>>,
}

impl Returning {
    /// ms after which the worker looks for what can come back.
    const DELAY: Msecs = 20;

    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            displaced: Atomic::new(0),
            rest_until: Atomic::new(0),
            worker <- new_spinlock!(None),
        })
    }

    /// Sets the worker, which keeps the device; so it has to be taken away again.
    pub(crate) fn set_worker(&self, worker: Option<Arc<dyn Schedule>>) {
        let _before = core::mem::replace(&mut *self.worker.lock(), worker);
    }

    /// Bytes that should be in VRAM and are not.
    pub(crate) fn displaced(&self) -> u64 {
        u64::try_from(self.displaced.load(Relaxed)).unwrap_or(0)
    }

    /// Counts a buffer of so many bytes that is displaced, or no more.
    pub(crate) fn count(&self, bytes: u64, is_displaced: bool) {
        // CAST: No buffer has 2^63 bytes.
        let bytes = bytes as i64;

        self.displaced
            .fetch_add(if is_displaced { bytes } else { -bytes }, Relaxed);
        if is_displaced {
            self.schedule();
        }
    }

    /// Notes that there may be room in VRAM.
    pub(crate) fn room_freed(&self) {
        if self.displaced.load(Relaxed) > 0 {
            self.schedule();
        }
    }

    /// Has the worker run soon.
    pub(crate) fn schedule(&self) {
        if let Some(worker) = &*self.worker.lock() {
            worker.schedule(Self::DELAY);
        }
    }
}

/// The data of a card's DRM device. It lives until the last user of the device is gone, which may
/// be after the card was unbound.
#[pin_data]
pub(crate) struct Pddgpu {
    /// Chip, address space and features, as the registers describe them.
    pub(crate) gmc: Gmc,
    /// The manager of VRAM.
    #[pin]
    pub(crate) vram: Manager<VramMgr>,
    /// The manager of the GTT window.
    #[pin]
    pub(crate) gtt: Manager<GttMgr>,
    /// The manager of the CPU domain.
    #[pin]
    pub(crate) system: Manager<SysMgr>,
    /// Usage, timing and leak statistics.
    pub(crate) stats: Arc<Stats>,
    /// The BAR through which the CPU accesses VRAM.
    pub(crate) aperture: Arc<Aperture>,
    /// The copy engine; [`None`] for a card without one, where the CPU copies and clears.
    pub(crate) engine: Option<Arc<CopyEngine>>,
    /// Passed by everyone who may evict, so that nobody takes the room that another one makes.
    #[pin]
    pub(crate) turnstile: Turnstile,
    /// What each client may have of VRAM.
    pub(crate) budgets: Arc<Budgets>,
    /// What should be in VRAM and is not.
    #[pin]
    pub(crate) returning: Returning,
    /// Bytes of buffers whose content may be dropped.
    pub(crate) purgeable: Atomic<i64>,
    /// For log lines whose number the card decides.
    #[pin]
    pub(crate) log_limit: RateLimit,
    /// The TTM device.
    pub(crate) bdev: Arc<BaseDevice>,
}

impl Pddgpu {
    /// Bytes of GTT that the driver uses itself.
    pub(crate) fn gtt_own(&self) -> u64 {
        self.gmc.gtt_size() - self.gtt.usable()
    }

    /// Bytes of GTT that are in use.
    pub(crate) fn gtt_used(&self) -> u64 {
        self.gtt_own() + ttm::usage(&self.bdev, MemType::Tt)
    }

    /// Checks that the copy engine works, so that memory holds what it should.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the card is being unbound, `EIO` if the engine was given up.
    pub(crate) fn check_engine(&self) -> Result {
        match &self.engine {
            Some(engine) if engine.is_closed() => Err(ENODEV),
            Some(engine) if engine.is_wedged() => Err(EIO),
            _ => Ok(()),
        }
    }
}
