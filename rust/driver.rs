// SPDX-License-Identifier: GPL-2.0

//! The PCI and DRM driver: probe, unbind, and the ioctl table.
//!
//! Probe sets up, in this order: the DMA mask, the BARs, the description of the card that its
//! registers give, the memory controller, the TTM device, the statistics, the copy engine, the
//! resource managers, the shrinker, the interrupt, and the files in sysfs. The DRM device is registered last.
//!
//! Unbind drops the fields of [`PddgpuData`] in the order in which they are declared:
//!
//! 1. The files in sysfs are removed, and the shrinker is unregistered.
//! 2. The copy engine is closed to clients. The fences of their jobs are signalled with `ENODEV`, so
//!    that nobody waits for the card any more.
//! 3. The DRM device is unplugged. From here on no code can access the hardware through it.
//! 4. Free VRAM is not zeroed any more. What clients have left in VRAM is zeroed, and the copy engine
//!    stops.
//! 5. The leak check stops, and the log lists the buffers that are still alive.
//! 6. The pages of buffers are unmapped from DMA and freed.
//! 7. The memory controller is disabled.
//!
//! Then devres unmaps the BARs. [`Pddgpu`], the data of the DRM device, stays until the last file,
//! mapping and dma-buf is gone.

mod power;
mod wipe;
mod wiper;

use core::ops::Range;

use kernel::{
    device::{
        self,
        Bound,
        Core, //
    },
    page::PAGE_SIZE,
    pci,
    prelude::*,
    sizes::{
        SizeConstants,
        SZ_64K, //
    },
    sync::{
        aref::ARef,
        atomic::Atomic,
        Arc, //
    }, //
};

use crate::{
    abstractions::{
        dma,
        drm,
        pci::{
            self as bus,
            Channel,
            Verdict,
            WcBar, //
        },
        ratelimit::RateLimit,
        ttm::{
            cgroup_region,
            Aperture,
            BaseDevice,
            DmaMappings,
            Manager,
            MemType,
            Shrinker, //
        },
        turnstile::Turnstile,
        workqueue::Periodic, //
    },
    bo::BoDriver,
    client,
    copy_engine::{
        self,
        Engine, //
    },
    debugfs,
    device::{
        FileData,
        ModuleRoot,
        Pddgpu,
        PddgpuDevice,
        PddgpuDrm,
        PddgpuFile,
        Returning, //
    },
    driver::{
        power::{
            Power,
            Return, //
        },
        wipe::Wipe,
        wiper::Wiping, //
    },
    hw::{
        gmc::{
            self,
            Gmc,
            ReservedVram, //
        },
        regs::{
            BoundRegisters,
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
    },
    sysfs::{
        self,
        MemInfo, //
    }, //
};

impl drm::Driver for PddgpuDrm {
    const INFO: drm::DriverInfo = drm::DriverInfo {
        major: 1,
        minor: 1,
        patchlevel: 0,
        name: c"pddgpu",
        desc: c"PDDGPU memory",
    };
    const IOCTLS: &'static [drm::ioctl::Descriptor] = &ioctl::TABLE;

    fn open(dev: &PddgpuDevice, events: Arc<drm::EventSink>) -> Result<Pin<KBox<FileData>>> {
        Ok(KBox::pin(FileData::new(dev, events)?, GFP_KERNEL)?)
    }

    fn events_read(file: &PddgpuFile) {
        file.data().client.events.flush();
    }

    /// TTM frees the memory of deleted buffers in a worker, once the card is done with it. That uses
    /// the managers and the statistics.
    fn release(dev: &PddgpuDevice) {
        dev.bdev.drain_delayed_deletes();
    }

    fn debugfs_init(dir: &drm::debugfs::Dir<'_, Self>) {
        debugfs::init(dir);
    }
}

/// A bound card.
///
/// Unbind drops the fields in the order in which they are declared. The module documentation says
/// why it is this order.
pub(crate) struct PddgpuData<'bound> {
    power: Power,
    _mem_info: MemInfo<'bound>,
    _shrinker: Shrinker<BoDriver>,
    _open: Option<copy_engine::Open<'bound>>,
    _registration: drm::Registration<PddgpuDrm>,
    _wiping: Option<Wiping>,
    _wipe: Wipe<'bound>,
    _stats: memory_stats::Fini,
    _dma_mappings: DmaMappings<BoDriver>,
    _gmc: gmc::Enabled<'bound>,
}

/// This driver's implementation of [`pci::Driver`].
pub(crate) struct PddgpuDriver;

// The entries carry no driver data: an ID that is added through `new_id` has none either.
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
        let (regs, aperture) = map_bars(pdev)?;

        let gmc = Gmc::read(dev, regs.access(dev)?, aperture.bar().size())?;
        let enabled = gmc::Enabled::new(dev, regs.clone(), &gmc)?;
        let regs_for_power = regs.clone();
        let vram = gmc.reserved_vram();
        log_card(dev, &gmc, vram.is_some());

        let ddev = new_device(dev, regs, aperture, gmc, vram)
            .inspect_err(|err| dev_err!(dev, "cannot set up memory management: {:?}\n", err))?;
        let stats = memory_stats::Fini::new(ddev.stats.clone());
        let dma_mappings = DmaMappings::new(ddev.clone());
        let shrinker = Shrinker::new(ddev.clone())
            .inspect_err(|err| dev_err!(dev, "no shrinker: {:?}\n", err))?;
        let back = Periodic::for_card(dev, ddev.clone())?;
        let engine = start_engine(pdev, &ddev, back.clone())
            .inspect_err(|err| dev_err!(dev, "cannot start the engine: {:?}\n", err))?;
        let open = engine.as_ref().map(copy_engine::Running::open);
        let wipe = Wipe::new(dev, ddev.clone(), engine);
        let wiping = Wiping::new(dev, &ddev)
            .inspect_err(|err| dev_err!(dev, "cannot zero memory: {:?}\n", err))?;

        let power = Power::new(back, regs_for_power)
            .inspect_err(|err| dev_err!(dev, "no notices of sleep: {:?}\n", err))?;
        let mem_info = sysfs::init(dev, ddev.clone())
            .inspect_err(|err| dev_err!(dev, "no files in sysfs: {:?}\n", err))?;

        Ok(PddgpuData {
            power,
            _mem_info: mem_info,
            _shrinker: shrinker,
            _open: open,
            _registration: drm::Registration::new(dev, ddev)
                .inspect_err(|err| dev_err!(dev, "cannot register: {:?}\n", err))?,
            _wiping: wiping,
            _wipe: wipe,
            _stats: stats,
            _dma_mappings: dma_mappings,
            _gmc: enabled,
        })
    }
}

impl bus::Driver for PddgpuDriver {
    type State = Power;

    fn state<'a>(data: Pin<&'a PddgpuData<'_>>) -> &'a Power {
        &data.get_ref().power
    }

    fn suspend(dev: &pci::Device<Bound>, power: &Power) -> Result {
        power.rest(dev.as_ref())
    }

    fn resume(dev: &pci::Device<Bound>, power: &Power) -> Result {
        power.wake(dev.as_ref())
    }

    fn reset_prepare(dev: &pci::Device<Bound>, power: &Power) {
        let dev = dev.as_ref();

        if let Err(err) = power.rest(dev) {
            dev_err!(dev, "VRAM could not be saved before a reset: {:?}\n", err);
            let _ = power.halt(dev);
        }
    }

    fn reset_done(dev: &pci::Device<Bound>, power: &Power) {
        let dev = dev.as_ref();

        match power.wake(dev) {
            Ok(()) => power.back.begin(),
            Err(err) => dev_err!(dev, "does not work after a reset: {:?}\n", err),
        }
    }

    fn error_detected(
        _dev: &pci::Device<device::Normal>,
        power: &Power,
        channel: Channel,
    ) -> Verdict {
        match channel {
            Channel::Open => Verdict::Recovered,
            Channel::Frozen => {
                power.cut_off();
                Verdict::NeedReset
            }
            Channel::Failed => {
                power.cut_off();
                Verdict::Disconnect
            }
        }
    }

    fn slot_reset(dev: &pci::Device<Bound>, power: &Power) -> Verdict {
        match power.wake(dev.as_ref()) {
            Ok(()) => Verdict::Recovered,
            Err(_) => Verdict::Disconnect,
        }
    }

    fn error_resume(_dev: &pci::Device<Bound>, power: &Power) {
        power.back.begin();
    }

    fn shutdown(dev: &pci::Device<Bound>, power: &Power) {
        let _ = power.halt(dev.as_ref());
    }
}

/// The mapped BARs of a card.
type Bars = (Arc<BoundRegisters>, Arc<Aperture>);

/// Enables a card, and maps its registers and its aperture.
fn map_bars(pdev: &pci::Device<Core<'_>>) -> Result<Bars> {
    let dev = pdev.as_ref();

    pdev.enable_device_mem()
        .inspect_err(|err| dev_err!(dev, "cannot enable the device: {:?}\n", err))?;
    pdev.set_master();
    dma::set_mask(pdev, DMA_BITS)
        .inspect_err(|err| dev_err!(dev, "no {}-bit DMA: {:?}\n", DMA_BITS, err))?;

    check_bar(pdev, REGISTER_BAR, u64::SZ_64K)?;
    // Pages of it are mapped into user space. What shares a page with a smaller BAR would be, too.
    check_bar(pdev, APERTURE_BAR, PAGE_SIZE as u64)?;
    let regs = pdev
        .iomap_region_sized::<SZ_64K>(REGISTER_BAR, c"pddgpu/registers")
        .inspect_err(|err| dev_err!(dev, "cannot map the registers: {:?}\n", err))?;
    let regs = Arc::new(regs.into_devres()?, GFP_KERNEL)?;
    let bar = WcBar::new(pdev, APERTURE_BAR, c"pddgpu/vram")
        .inspect_err(|err| dev_err!(dev, "cannot map the aperture: {:?}\n", err))?;

    Ok((regs, Aperture::new(bar, c"pddgpu/aperture")?))
}

fn log_card(dev: &device::Device, gmc: &Gmc, has_engine: bool) {
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

    if !has_engine {
        dev_info!(dev, "no copy engine: the CPU moves memory\n");
    }
}

/// Makes the DRM device of a card with its managers and, in `vram`, its copy engine.
fn new_device(
    dev: &device::Device<Bound>,
    regs: Arc<BoundRegisters>,
    aperture: Arc<Aperture>,
    gmc: Gmc,
    vram: Option<ReservedVram>,
) -> Result<ARef<PddgpuDevice>> {
    PddgpuDevice::new(dev, |base| {
        pin_init::pin_init_scope(move || {
            let bdev = BaseDevice::new::<BoDriver>(dev, &base)?;
            let stats = MemoryStats::init(dev, heap_totals(&gmc), PddgpuDrm::debug_level)?;
            let own = vram.as_ref().map_or(0, ReservedVram::size);
            let engine = match &vram {
                Some(vram) => Some(Engine::new(
                    dev,
                    bdev.clone(),
                    regs,
                    aperture.clone(),
                    stats.clone(),
                    gmc.clone(),
                    vram,
                )?),
                None => None,
            };

            Ok(try_pin_init!(Pddgpu {
                vram <- Manager::new(
                    bdev.clone(),
                    MemType::Vram,
                    gmc.vram_size(),
                    cgroup_region::<BoDriver>(&base, c"vram", gmc.vram_size())?,
                    VramMgr::new(gmc.vram_size(), gmc.visible_size, own, stats.clone()),
                ),
                gtt <- Manager::new(
                    bdev.clone(),
                    MemType::Tt,
                    gmc.gtt_size(),
                    None,
                    GttMgr::new(gmc.gtt_size(), stats.clone()),
                ),
                system <- Manager::new(
                    bdev.clone(),
                    MemType::System,
                    0,
                    None,
                    Ok(SysMgr::new(stats.clone())),
                ),
                stats,
                gmc,
                aperture,
                engine,
                turnstile <- Turnstile::new(),
                budgets: client::Budgets::new()?,
                returning <- Returning::new(),
                purgeable: Atomic::new(0),
                log_limit <- RateLimit::new(),
                bdev,
            }? Error))
        })
    })
}

/// Starts the copy engine, if the card has one.
fn start_engine<'bound>(
    pdev: &'bound pci::Device<Bound>,
    ddev: &ARef<PddgpuDevice>,
    back: Arc<Periodic<Return>>,
) -> Result<Option<copy_engine::Running<'bound>>> {
    let Some(engine) = &ddev.engine else {
        return Ok(None);
    };
    let listener = Arc::new(
        Listener {
            ddev: ddev.clone(),
            back,
        },
        GFP_KERNEL,
    )?;

    copy_engine::Running::new(pdev, engine.clone(), listener).map(Some)
}

/// What is done about what happens to a card.
struct Listener {
    ddev: ARef<PddgpuDevice>,
    back: Arc<Periodic<Return>>,
}

impl copy_engine::Listener for Listener {
    fn page_lost(&self, page: Range<u64>) {
        retire_page(&self.ddev, page);
    }

    fn vram_lost(&self) {
        self.back.vram_lost();
    }

    /// Unbinding the card and binding it again resets it.
    fn given_up(&self) {
        self.ddev.wedged_until_rebind();
        self.ddev.budgets.tell_all(client::Event::GivenUp);
    }
}

/// Reserves a page of VRAM that had an uncorrectable error, so that no buffer is allocated there.
fn retire_page(pdev: &PddgpuDevice, page: Range<u64>) {
    let result = pdev.vram.retire_page(page.clone());

    if !pdev.log_limit.allows(c"pddgpu: memory errors") {
        return;
    }
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

/// Bytes of each heap; 0 for the CPU heap, which the card does not limit.
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
