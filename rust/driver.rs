// SPDX-License-Identifier: GPL-2.0

//! Probe and unbind: the order in which a card comes up and goes down.
//!
//! Up: DMA mask, BARs, the card's word about itself, memory controller, TTM with its managers, DRM
//! device, shrinker, copy engine, registration. Down, which is the order of the fields of [`PddgpuData`]:
//! memory pressure no longer takes pages; the DRM device is unplugged, so that nobody touches the card any
//! more; the copy engine stops; the statistics say what is still alive; pages lose their bus addresses; the
//! memory controller is turned off; the BARs are unmapped. What files still hold stays in [`Pddgpu`] until the
//! last of them is closed.

use core::ops::Range;

use kernel::{
    device::Core,
    pci,
    prelude::*,
    sizes::SZ_64K,
    sync::Arc, //
};

use crate::{
    abstractions::{
        dma,
        drm,
        pci::WcBar,
        ttm::{
            Aperture,
            BaseDevice,
            DmaMappings,
            Manager,
            MemType,
            Shrinker, //
        }, //
    },
    bo::BoDriver,
    copy_engine::{
        self,
        Engine, //
    },
    debugfs,
    device::{
        ModuleRoot,
        Pddgpu,
        PddgpuDevice,
        PddgpuDrm, //
    },
    hw::{
        gmc::{
            self,
            Gmc,
            ReservedVram, //
        },
        regs::{
            APERTURE_BAR,
            DMA_BITS,
            REGISTER_BAR, //
        }, //
    },
    ioctl,
    memory_stats::{
        self,
        Heap,
        MemoryStats, //
    },
    mgr::{
        gtt_mgr::GttMgr,
        sys_mgr::SysMgr,
        vram_mgr::VramMgr, //
    }, //
};

impl drm::Driver for PddgpuDrm {
    const INFO: drm::DriverInfo = drm::DriverInfo {
        major: 1,
        minor: 0,
        patchlevel: 0,
        name: c"pddgpu",
        desc: c"PDDGPU memory",
    };
    const IOCTLS: &'static [drm::ioctl::Descriptor] = &ioctl::TABLE;

    fn open(_dev: &PddgpuDevice) -> Result<Pin<KBox<()>>> {
        Ok(KBox::pin((), GFP_KERNEL)?)
    }

    fn debugfs_init(dir: &drm::debugfs::Dir<'_, Self>) {
        debugfs::init(dir);
    }
}

/// A bound card. The fields go in this order.
pub(crate) struct PddgpuData<'bound> {
    _shrinker: Shrinker<BoDriver>,
    _registration: drm::Registration<PddgpuDrm>,
    _engine: Option<copy_engine::Running<'bound>>,
    _stats: memory_stats::Fini,
    _dma_mappings: DmaMappings,
    _gmc: gmc::Enabled<'bound>,
}

/// The driver's PCI side.
pub(crate) struct PddgpuDriver;

// Without driver data: what `new_id` adds must carry the same as an entry here, and has none.
kernel::pci_device_table!(
    PCI_TABLE,
    @none,
    [
        pci::DeviceId::from_id(pci::Vendor::REDHAT_QUMRANET, 0x10f1),
        pci::DeviceId::from_id(pci::Vendor::REDHAT_QUMRANET, 0x10f2),
        pci::DeviceId::from_id(pci::Vendor::REDHAT_QUMRANET, 0x10f3),
    ]
);

impl pci::Driver for PddgpuDriver {
    type IdInfo = ();
    type Data<'bound> = PddgpuData<'bound>;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound {
        let dev = pdev.as_ref();

        pdev.enable_device_mem()
            .inspect_err(|err| dev_err!(dev, "cannot enable the device: {:?}\n", err))?;
        pdev.set_master();
        dma::set_mask(pdev, DMA_BITS)
            .inspect_err(|err| dev_err!(dev, "no {}-bit DMA: {:?}\n", DMA_BITS, err))?;

        check_bar(pdev, REGISTER_BAR, SZ_64K as u64)?;
        check_bar(pdev, APERTURE_BAR, 1)?;
        let regs = pdev
            .iomap_region_sized::<SZ_64K>(REGISTER_BAR, c"pddgpu/registers")
            .inspect_err(|err| dev_err!(dev, "cannot map the registers: {:?}\n", err))?;
        let regs = Arc::new(regs.into_devres()?, GFP_KERNEL)?;
        let bar = WcBar::new(pdev, APERTURE_BAR, c"pddgpu/vram")
            .inspect_err(|err| dev_err!(dev, "cannot map the aperture: {:?}\n", err))?;
        let aperture = Aperture::new(bar, c"pddgpu/aperture")?;

        let gmc = Gmc::read(dev, regs.access(dev)?, aperture.bar().size())?;
        let enabled = gmc::Enabled::new(dev, regs.clone(), &gmc)?;
        let reserved_vram = gmc.reserved_vram();

        dev_info!(
            dev,
            "{} rev {}.{}: {} MiB VRAM, {} MiB visible, {} MiB GTT\n",
            gmc.chip.name(),
            gmc.revision >> 4 & 0xf,
            gmc.revision & 0xf,
            gmc.vram_size() >> 20,
            gmc.visible_size >> 20,
            gmc.gtt_size() >> 20
        );

        if reserved_vram.is_none() {
            dev_info!(dev, "no copy engine: the CPU moves memory\n");
        }

        let ddev = PddgpuDevice::new(dev, |base| {
            pin_init::pin_init_scope(move || {
                let bdev = BaseDevice::new::<BoDriver>(dev, &base)?;
                let stats = MemoryStats::init(dev, heap_totals(&gmc), PddgpuDrm::debug_level)?;
                let own = reserved_vram.as_ref().map_or(0, ReservedVram::size);
                let engine = match &reserved_vram {
                    Some(reserved_vram) => Some(Engine::new(
                        dev,
                        bdev.clone(),
                        regs,
                        aperture.clone(),
                        stats.clone(),
                        gmc.clone(),
                        reserved_vram,
                    )?),
                    None => None,
                };

                Ok(try_pin_init!(Pddgpu {
                    vram <- Manager::new(
                        bdev.clone(),
                        MemType::Vram,
                        gmc.vram_size(),
                        VramMgr::new(gmc.vram_size(), gmc.visible_size, own, stats.clone()),
                    ),
                    gtt <- Manager::new(
                        bdev.clone(),
                        MemType::Tt,
                        gmc.gtt_size(),
                        GttMgr::new(gmc.gtt_size(), stats.clone()),
                    ),
                    system <- Manager::new(
                        bdev.clone(),
                        MemType::System,
                        0,
                        Ok(SysMgr::new(stats.clone())),
                    ),
                    stats,
                    gmc,
                    aperture,
                    engine,
                    bdev,
                }? Error))
            })
        })
        .inspect_err(|err| dev_err!(dev, "cannot set up memory management: {:?}\n", err))?;
        let stats = memory_stats::Fini::new(ddev.stats.clone());
        let dma_mappings = DmaMappings::new(ddev.bdev.clone());
        let shrinker = Shrinker::new(ddev.clone())
            .inspect_err(|err| dev_err!(dev, "no shrinker: {:?}\n", err))?;

        let engine = match &ddev.engine {
            Some(engine) => {
                let vram = ddev.clone();
                let lost = KBox::new(move |range| retire_page(&vram, range), GFP_KERNEL)?;

                Some(
                    copy_engine::Running::new(pdev, engine.clone(), lost)
                        .inspect_err(|err| dev_err!(dev, "cannot start the engine: {:?}\n", err))?,
                )
            }
            None => None,
        };

        Ok(PddgpuData {
            _shrinker: shrinker,
            _registration: drm::Registration::new(dev, ddev)
                .inspect_err(|err| dev_err!(dev, "cannot register: {:?}\n", err))?,
            _engine: engine,
            _stats: stats,
            _dma_mappings: dma_mappings,
            _gmc: enabled,
        })
    }
}

/// VRAM lost what it held in `page`: nobody is to get it any more.
fn retire_page(pdev: &PddgpuDevice, page: Range<u64>) {
    let result = pdev.vram.reserve_range(page.clone());

    dev_err!(
        pdev.stats.dev(),
        "uncorrectable error in VRAM at {:#x}, page {}\n",
        page.start,
        match result {
            Ok(()) => "retired",
            Err(EEXIST) => "was retired before",
            Err(_) => "cannot be retired",
        }
    );
}

/// Bytes of each heap, 0 for the one that has no limit of the card's.
fn heap_totals(gmc: &Gmc) -> [u64; 4] {
    Heap::ALL.map(|heap| match heap {
        Heap::Vram => gmc.vram_size(),
        Heap::VisibleVram => gmc.visible_size,
        Heap::Gtt => gmc.gtt_size(),
        Heap::Cpu => 0,
    })
}

fn check_bar(pdev: &pci::Device<Core<'_>>, bar: u32, min: u64) -> Result {
    let len = pdev.resource_len(bar)?;

    if len < min {
        dev_err!(
            pdev.as_ref(),
            "BAR{} has {:#x} bytes, not {:#x}\n",
            bar,
            len,
            min
        );
        return Err(ENODEV);
    }
    Ok(())
}
