// SPDX-License-Identifier: GPL-2.0

//! The aperture: the PCI BAR through which the CPU accesses memory on the device.

use kernel::{
    new_condvar,
    new_mutex,
    prelude::*,
    static_lock_class,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Release, //
        },
        Arc,
        CondVar,
        Mutex, //
    }, //
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
    /// Whether it was [closed](Self::close). It is closed while `open` is held for writing, and opened
    /// while `waiting` is held.
    is_closed: Atomic<bool>,
    /// Held by those who wait for [`reopen`](Self::reopen).
    #[pin]
    waiting: Mutex<()>,
    #[pin]
    opened: CondVar,
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
                is_closed: Atomic::new(false),
                waiting <- new_mutex!(()),
                opened <- new_condvar!(),
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
        loop {
            if self.is_closed.load(Acquire) {
                self.wait_until_open();
            }
            let no_reclaim = NoReclaim::begin();
            let guard = self.open.read();

            // Unless it was closed again.
            if !self.is_closed.load(Acquire) {
                return Open {
                    _guard: guard,
                    _no_reclaim: no_reclaim,
                };
            }
        }
    }

    /// Closes the aperture until [`reopen`](Self::reopen): until then no buffer of `dev` is mapped by user
    /// space, and page faults and accesses by the kernel wait. They hold the lock of a buffer meanwhile,
    /// and keep the device from being unplugged.
    pub(crate) fn close(&self, dev: &BaseDevice) {
        self.shut(dev, || self.is_closed.store(true, Release));
    }

    /// Opens the aperture again, if it was closed.
    pub(crate) fn reopen(&self) {
        let waiting = self.waiting.lock();

        self.is_closed.store(false, Release);
        drop(waiting);
        self.opened.notify_all();
    }

    fn wait_until_open(&self) {
        let mut waiting = self.waiting.lock();

        while self.is_closed.load(Acquire) {
            self.opened.wait(&mut waiting);
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
