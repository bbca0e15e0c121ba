// SPDX-License-Identifier: GPL-2.0

//! The aperture: the PCI BAR through which the CPU accesses memory on the device.

use kernel::{
    prelude::*,
    static_lock_class,
    sync::Arc, //
};

use crate::abstractions::{
    memory::NoReclaim,
    pci::WcBar,
    rwsem::{
        ReadGuard,
        RwSemaphore, //
    },
    ttm::device::BaseDevice, //
};

/// An aperture that is held open.
pub(super) struct Open<'a> {
    _guard: ReadGuard<'a>,
    _no_reclaim: NoReclaim,
}

/// A whole PCI BAR, through which the CPU accesses memory on the device.
///
/// The driver may have to [shut](Aperture::shut) the aperture for a while, for example for a reset
/// of the device. So the content of buffers is accessed only while the aperture is [held
/// open](Aperture::hold_open). Accesses to memory that the driver uses itself are the driver's to
/// synchronise.
#[pin_data]
pub(crate) struct Aperture {
    bar: Arc<WcBar>,
    /// Held for reading by code that needs the aperture, and for writing while it is shut.
    #[pin]
    open: RwSemaphore,
}

impl Aperture {
    /// The aperture that `bar` is.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(bar: Arc<WcBar>, name: &'static CStr) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                bar,
                open <- RwSemaphore::new(name, static_lock_class!()),
            }),
            GFP_KERNEL,
        )
    }

    /// The memory itself.
    pub(crate) fn bar(&self) -> &Arc<WcBar> {
        &self.bar
    }

    /// Keeps the aperture open until the result is dropped. Only locks of the memory management are
    /// taken inside.
    ///
    /// A fence may be signalled only after the aperture was shut, and memory reclaim may wait for a
    /// fence. So an allocation inside of this section must not wait for reclaim. It is marked
    /// `memalloc_noreclaim` for the page tables that a page fault allocates here.
    pub(super) fn hold_open(&self) -> Open<'_> {
        let no_reclaim = NoReclaim::begin();

        Open {
            _guard: self.open.read(),
            _no_reclaim: no_reclaim,
        }
    }

    /// Calls `f` with the aperture shut.
    ///
    /// No buffer of `dev` is mapped by user space while `f` runs. A page fault, or an access by the
    /// kernel, waits until it returns. The device's memory must be accessible again by then.
    pub(crate) fn shut<R>(&self, dev: &BaseDevice, f: impl FnOnce() -> R) -> R {
        let _guard = self.open.write();

        dev.unmap_all();
        f()
    }
}
