// SPDX-License-Identifier: GPL-2.0

//! A card as the driver keeps it: its memory managers, its statistics, its engine, and the DRM
//! device that holds them.

use kernel::{
    module::ModuleMetadata,
    prelude::*,
    sync::{
        atomic::Atomic,
        Arc, //
    }, //
};

use crate::{
    abstractions::{
        drm,
        ratelimit::RateLimit,
        ttm::{
            Aperture,
            BaseDevice,
            Manager, //
        },
        turnstile::Turnstile, //
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
    /// The data of a new client of a card.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(pdev: &Pddgpu) -> Result<Self> {
        let client = Client::new()?;

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
    /// Until when buffers may be evicted that others still use, in ns since boot.
    pub(crate) evict_used_until: Atomic<u64>,
    /// What each client may have of VRAM.
    pub(crate) budgets: Arc<Budgets>,
    /// Bytes of buffers whose content may be dropped.
    pub(crate) purgeable: Atomic<i64>,
    /// For log lines whose number the card decides.
    #[pin]
    pub(crate) log_limit: RateLimit,
    /// The TTM device.
    pub(crate) bdev: Arc<BaseDevice>,
}

impl Pddgpu {
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
