// SPDX-License-Identifier: GPL-2.0

//! A small TTM driver to start from, made of the abstractions alone and without `unsafe`.
//!
//! BAR 2 of a card is its VRAM. Dumb buffers live there, until others push them to system memory.

use kernel::{
    device::Core,
    new_mutex,
    page::PAGE_SIZE,
    pci,
    prelude::*,
    sync::*, //
};

// The driver's own sources, of which this one does not use all.
#[allow(dead_code, unused_imports, unused_macros)]
#[path = "../../rust"]
mod shared {
    pub(crate) mod abstractions;
    pub(crate) mod bindings;
}
pub(crate) use self::shared::*;

use self::abstractions::{
    drm,
    gpu_buddy::*,
    pci::WcBar,
    ttm::*, //
};

/// The manager of VRAM.
#[pin_data]
struct Vram {
    #[pin]
    mm: Mutex<Buddy>,
}

impl ResourceManager for Vram {
    type Resource = Option<Blocks>;
    const USE_TT: bool = false;

    fn alloc<'a>(&'a self, request: &'a Request<'a>) -> impl PinInit<Option<Blocks>, Error> + 'a {
        let (mode, flags) = (AllocMode::Simple, AllocFlags::default());
        let mut mm = self.mm.lock();
        mm.alloc(&mode, request.size(), PAGE_SIZE as u64, flags)
            .map(Some)
    }

    fn layout(&self, _blocks: &Option<Blocks>) -> Layout {
        Layout {
            start: None,
            write_combined: true,
        }
    }

    fn free(&self, mut blocks: Pin<&mut Option<Blocks>>) {
        if let Some(blocks) = blocks.take() {
            self.mm.lock().free(blocks, false);
        }
    }
}

/// The driver, for PCI, DRM and TTM.
struct Sample;

type Device = drm::Device<Sample>;

/// The data of a card.
#[pin_data]
struct Data {
    #[pin]
    vram: Manager<Vram>,
    aperture: Arc<Aperture>,
    bdev: Arc<BaseDevice>,
}

impl drm::Types for Sample {
    type Module = LocalModule;
    type Data = Data;
    type File = ();
    type Object = Object<Self>;
}

impl Types for Sample {
    type Drm = Self;
    type Object = ();
}

impl Driver for Sample {
    type Ranges<'a> = Ranges<'a>;
    type Binding = ();
    type Moving<'a> = ();

    fn aperture(dev: &Device) -> &Aperture {
        &dev.aperture
    }

    fn ranges<'a>(dev: &'a Device, res: &'a Resource, skip: u64) -> Ranges<'a> {
        match dev.vram.get(res) {
            Some(Some(blocks)) => blocks.iter_from(skip),
            _ => Ranges::empty(),
        }
    }

    fn managers_of_pages(dev: &Device) -> [&BaseManager; 2] {
        [dev.bdev.system(); 2]
    }

    fn move_(bo: &Locked<'_, Self>, _: &Resource, _: &mut OperationCtx) -> Result<Move> {
        Ok(bo.resource().map_or(Move::Null, |_| Move::Copy))
    }
}

impl drm::CreateDumb for Sample {
    /// A new buffer comes from system memory, so that it shows nothing that was in VRAM before.
    fn create_dumb(dev: &Device, file: &drm::File<Self>, size: u64) -> Result<u32> {
        let size = usize::try_from(size)?;
        let [system, vram] = [MemType::System, MemType::Vram].map(|kind| [Place::anywhere(kind)]);
        let bo = Object::new(dev, &dev.bdev, size, 0, &system, Ok(()), |bo, ctx| {
            bo.populate(ctx)?;
            bo.validate(&vram, ctx)
        })?;
        file.create_handle(&bo)
    }
}

impl drm::prime::ImportForeign for Sample {}
impl drm::ShowFdinfo for Sample {}
impl drm::Driver for Sample {
    const INFO: drm::DriverInfo = drm::DriverInfo {
        major: 1,
        minor: 0,
        patchlevel: 0,
        name: c"ttm_sample",
        desc: c"TTM sample",
    };

    fn open(_dev: &Device) -> Result<Pin<KBox<()>>> {
        Ok(KBox::pin((), GFP_KERNEL)?)
    }

    fn release(dev: &Device) {
        dev.bdev.drain_delayed_deletes();
    }
}

/// A bound card. Unbind drops the fields in this order.
struct Card {
    _registration: drm::Registration<Sample>,
    _dma_mappings: DmaMappings<Sample>,
}

kernel::pci_device_table!(
    PCI_TABLE,
    @none,
    [pci::DeviceId::from_id(pci::Vendor::REDHAT_QUMRANET, 0x10fe)]
);

impl pci::Driver for Sample {
    type IdInfo = ();
    type Data<'bound> = Card;
    const ID_TABLE: pci::IdTable<()> = &PCI_TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Card, Error> + 'bound {
        pdev.enable_device_mem()?;
        let dev = pdev.as_ref();
        let bar = WcBar::new(pdev, 2, c"ttm_sample/vram")?;
        let aperture = Aperture::new(bar, c"ttm_sample/aperture")?;
        let size = aperture.bar().size();
        let mm = Buddy::new(size)?;
        let ddev = Device::new(dev, |base| {
            pin_init::pin_init_scope(move || {
                let bdev = BaseDevice::new::<Sample>(dev, &base)?;
                let vram = try_pin_init!(Vram { mm <- new_mutex!(mm) }? Error);
                Ok(try_pin_init!(Data {
                    vram <- Manager::new(bdev.clone(), MemType::Vram, size, None, vram),
                    aperture,
                    bdev,
                }? Error))
            })
        })?;

        Ok(Card {
            _dma_mappings: DmaMappings::new(ddev.clone()),
            _registration: drm::Registration::new(dev, ddev)?,
        })
    }
}

kernel::module_pci_driver! {
    type: Sample,
    name: "ttm_sample",
    authors: ["The pddgpu authors"],
    description: "Sample TTM driver",
    license: "GPL v2",
}
