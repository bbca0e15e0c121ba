// SPDX-License-Identifier: GPL-2.0

//! Message-signalled interrupts (MSI) of PCI devices, with a threaded handler.

use core::mem::transmute;

use kernel::{
    device::{
        self,
        Bound, //
    },
    devres::Devres,
    irq::{
        Flags,
        IrqRequest,
        IrqReturn,
        ThreadedHandler,
        ThreadedIrqReturn,
        ThreadedRegistration, //
    },
    pci::{
        self,
        IrqType,
        IrqTypes,
        IrqVectorRegistration, //
    },
    prelude::*,
    sync::aref::ARef, //
};

/// An interrupt handler.
pub(crate) trait Handler: Send + Sync + 'static {
    /// The hard interrupt handler: runs in interrupt context, while `parent` is bound. Returns
    /// [`None`](ThreadedIrqReturn::None) if the device had nothing to say, so that the kernel can
    /// switch off an interrupt that never stops, and
    /// [`WakeThread`](ThreadedIrqReturn::WakeThread) if [`handle`](Self::handle) has to run.
    fn handle_now(&self, parent: &device::Device<Bound>) -> ThreadedIrqReturn;

    /// The threaded handler: runs in a kernel thread, while `parent` is bound.
    fn handle(&self, parent: &device::Device<Bound>);
}

struct Thread<H: Handler> {
    parent: ARef<device::Device>,
    handler: H,
}

impl<H: Handler> ThreadedHandler for Thread<H> {
    fn handle(&self) -> ThreadedIrqReturn {
        // SAFETY: `Msi` is device-managed: the registration ends, and waits for us, while the
        // device is still bound.
        let parent = unsafe { self.parent.as_bound() };

        self.handler.handle_now(parent)
    }

    fn handle_threaded(&self) -> IrqReturn {
        // SAFETY: `Msi` is device-managed: the registration ends, and waits for us, while the
        // device is still bound.
        self.handler.handle(unsafe { self.parent.as_bound() });
        IrqReturn::Handled
    }
}

/// The single MSI vector of a PCI device, with its handler. It is device-managed.
///
/// # Invariants
///
/// The handler is registered for a vector of `_vectors`, and the device is bound.
pub(crate) struct Msi<H: Handler> {
    // Dropped first, because it is registered for one of the vectors.
    _handler: Pin<KBox<ThreadedRegistration<'static, Thread<H>>>>,
    _vectors: KBox<IrqVectorRegistration<'static>>,
}

impl<H: Handler> Msi<H> {
    /// Allocates the vector and registers `handler` for it, until the result is dropped or `pdev`
    /// is unbound (`pci_alloc_irq_vectors()`, `request_threaded_irq()`).
    ///
    /// # Errors
    ///
    /// `ENOSPC` if the device has no MSI, or if the machine has no vector left. If memory is short,
    /// `ENOMEM`, but also `ENODEV` or `ENOSPC`.
    pub(crate) fn new(
        pdev: &pci::Device<Bound>,
        name: &'static CStr,
        handler: H,
    ) -> Result<Devres<Self>> {
        let vectors = pdev.alloc_irq_vectors(1, 1, IrqTypes::default().with(IrqType::Msi))?;
        // SAFETY: The vectors are freed before the device is unbound: the result is device-managed.
        let vectors: IrqVectorRegistration<'static> = unsafe { transmute(vectors) };
        let vectors = KBox::new(vectors, GFP_KERNEL)?;
        let request: IrqRequest<'_> = vectors.index(0)?.into();
        // SAFETY: The vectors outlive the registration that the request is used up by, as `Msi`
        // drops it first.
        let request: IrqRequest<'static> = unsafe { transmute(request) };
        let thread = Thread {
            parent: pdev.as_ref().into(),
            handler,
        };
        // SAFETY: The registration is dropped by devres at the latest.
        let registration =
            unsafe { ThreadedRegistration::new(request, Flags::TRIGGER_NONE, name, Ok(thread)) };

        // INVARIANT: Registered for the vector.
        let msi = Self {
            _handler: KBox::pin_init(registration, GFP_KERNEL)?,
            _vectors: vectors,
        };
        Devres::new(pdev.as_ref(), Ok::<_, Error>(msi))
    }
}
