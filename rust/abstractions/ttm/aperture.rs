// SPDX-License-Identifier: GPL-2.0

//! The window through which the CPU reaches memory on the device.

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

/// The window through which the CPU reaches memory on the device: a whole PCI BAR.
///
/// A device may have to shut it for a while. Buffers are accessed only while it is [held
/// open](Aperture::hold_open); what the device has for itself is the driver's to coordinate.
#[pin_data]
pub(crate) struct Aperture {
    bar: Arc<WcBar>,
    /// Held for reading where it must be open, for writing where it is shut.
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

    /// Keeps it open until the result is dropped. Innermost but for locks of the memory management.
    ///
    /// Fences may have to wait for whoever shuts it, and memory reclaim for fences: so what is allocated
    /// meanwhile, a page table or two, must not wait for that.
    pub(super) fn hold_open(&self) -> Open<'_> {
        let no_reclaim = NoReclaim::begin();

        Open {
            _guard: self.open.read(),
            _no_reclaim: no_reclaim,
        }
    }

    /// Calls `f` with the aperture shut: nobody has a buffer of `dev` mapped, nor can any be mapped or
    /// accessed by the kernel meanwhile. When `f` returns, it must be open again.
    pub(crate) fn shut<R>(&self, dev: &BaseDevice, f: impl FnOnce() -> R) -> R {
        let _guard = self.open.write();

        dev.unmap_all();
        f()
    }
}
