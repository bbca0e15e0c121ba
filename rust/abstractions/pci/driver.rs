// SPDX-License-Identifier: GPL-2.0

//! PCI drivers that handle sleep, resets, bus errors and the end of the system.
//!
//! [`pci::Adapter`] registers a driver with `probe` and `remove` only. [`Adapter`] registers the same
//! driver with `struct dev_pm_ops`, `struct pci_error_handlers` and `shutdown`, too.
//!
//! A callback gets the device as it is: as [`Bound`] where the device answers, so that the driver can
//! reach its registers ([`Devres::access`](kernel::devres::Devres::access)), and as
//! [`Normal`](device::Normal) where it does not, so that the driver cannot.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use core::marker::PhantomData;

use kernel::{
    device::{
        self,
        Bound,
        CoreInternal, //
    },
    driver::{
        DriverLayout,
        RegistrationOps, //
    },
    error::from_result,
    pci,
    prelude::*,
    types::Opaque, //
};

use crate::bindings::raw as bindings;

/// What a bus error has done to the way to a device (`pci_channel_state_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// Nothing: the error was not fatal.
    Open,
    /// The device cannot be reached until its slot was reset.
    Frozen,
    /// The device is lost for good.
    Failed,
}

/// What is to be done next about a device after a bus error (`pci_ers_result_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The driver can go on.
    Recovered,
    /// The slot has to be reset.
    NeedReset,
    /// The driver gives the device up.
    Disconnect,
}

impl Verdict {
    const fn as_raw(self) -> bindings::pci_ers_result_t {
        match self {
            Self::Recovered => bindings::pci_ers_result_PCI_ERS_RESULT_RECOVERED,
            Self::NeedReset => bindings::pci_ers_result_PCI_ERS_RESULT_NEED_RESET,
            Self::Disconnect => bindings::pci_ers_result_PCI_ERS_RESULT_DISCONNECT,
        }
    }
}

/// A driver that handles what happens to the power and the bus of its device.
///
/// All methods are called in process context with the device's lock held. So the device is bound and
/// its data complete, and they never run at the same time for the same device.
pub(crate) trait Driver: pci::Driver {
    /// The part of the driver's data that the methods work on. It should reach the device's registers
    /// only with a device that is [`Bound`].
    type State: Sync;

    /// That part of the data.
    fn state<'a>(data: Pin<&'a Self::Data<'_>>) -> &'a Self::State;

    /// Puts the device to rest: its power or its state may be lost after this, and it must not use
    /// DMA nor interrupt. For system sleep (`suspend`, `poweroff`) and for a snapshot of memory
    /// (`freeze`). User space is frozen.
    ///
    /// # Errors
    ///
    /// Any. Then the system does not sleep, and the device has to be as before.
    fn suspend(dev: &pci::Device<Bound>, state: &Self::State) -> Result;

    /// Brings the device up again, whose registers may have any value, and which may have lost power
    /// or not (`resume`, `thaw`, `restore`). User space is still frozen.
    ///
    /// # Errors
    ///
    /// Any; the system logs it, and goes on.
    fn resume(dev: &pci::Device<Bound>, state: &Self::State) -> Result;

    /// Puts the device to rest because the function or its bus is going to be reset.
    fn reset_prepare(dev: &pci::Device<Bound>, state: &Self::State);

    /// Brings the device up again after that. Whether the reset succeeded, the registers say.
    fn reset_done(dev: &pci::Device<Bound>, state: &Self::State);

    /// A bus error was detected. The device may not answer any more.
    fn error_detected(
        dev: &pci::Device<device::Normal>,
        state: &Self::State,
        channel: Channel,
    ) -> Verdict;

    /// The slot was reset after that, and the configuration of the function restored.
    fn slot_reset(dev: &pci::Device<Bound>, state: &Self::State) -> Verdict;

    /// Everybody has recovered from the bus error.
    fn error_resume(dev: &pci::Device<Bound>, state: &Self::State);

    /// The system ends, or another kernel takes over. The device must not use DMA any more.
    fn shutdown(dev: &pci::Device<Bound>, state: &Self::State);
}

/// An adapter for the registration of such a driver, for [`kernel::module_driver`].
pub(crate) struct Adapter<T: Driver>(PhantomData<T>);

// SAFETY: All is as for `pci::Adapter<T>`, whose types these are.
unsafe impl<T: Driver> DriverLayout for Adapter<T> {
    type DriverType = bindings::pci_driver;
    type DriverData<'bound> = T::Data<'bound>;
    const DEVICE_DRIVER_OFFSET: usize = pci::Adapter::<T>::DEVICE_DRIVER_OFFSET;
}

// SAFETY: What `pci::Adapter<T>` has registered can be unregistered.
unsafe impl<T: Driver> RegistrationOps for Adapter<T> {
    unsafe fn register(
        pdrv: &Opaque<Self::DriverType>,
        name: &'static CStr,
        module: &'static ThisModule,
    ) -> Result {
        // SAFETY: The fields may be set before the registration, and `pci::Adapter` sets others. The
        // caller keeps `pdrv` until `unregister`.
        unsafe {
            (*pdrv.get()).driver.pm = const { &Self::PM };
            (*pdrv.get()).err_handler = const { &Self::ERRORS };
            (*pdrv.get()).shutdown = Some(Self::shutdown_callback);
            pci::Adapter::<T>::register(pdrv, name, module)
        }
    }

    unsafe fn unregister(pdrv: &Opaque<Self::DriverType>) {
        // SAFETY: By this function's requirements.
        unsafe { pci::Adapter::<T>::unregister(pdrv) };
    }
}

impl<T: Driver> Adapter<T> {
    const PM: bindings::dev_pm_ops = bindings::dev_pm_ops {
        suspend: Some(Self::suspend_callback),
        resume: Some(Self::resume_callback),
        freeze: Some(Self::suspend_callback),
        thaw: Some(Self::resume_callback),
        poweroff: Some(Self::suspend_callback),
        restore: Some(Self::resume_callback),
        ..pin_init::zeroed()
    };

    const ERRORS: bindings::pci_error_handlers = bindings::pci_error_handlers {
        error_detected: Some(Self::error_detected_callback),
        slot_reset: Some(Self::slot_reset_callback),
        reset_prepare: Some(Self::reset_prepare_callback),
        reset_done: Some(Self::reset_done_callback),
        resume: Some(Self::error_resume_callback),
        ..pin_init::zeroed()
    };

    /// Calls `f` with the device and the state of its driver.
    ///
    /// # Safety
    ///
    /// `pdev` must be a device that is bound to this driver, and its lock must be held.
    unsafe fn with<R>(
        pdev: *mut bindings::pci_dev,
        f: impl FnOnce(&pci::Device<Bound>, &T::State) -> R,
    ) -> R {
        // SAFETY: By this function's requirements.
        let pdev = unsafe { &*pdev.cast::<pci::Device<CoreInternal<'_>>>() };
        // SAFETY: `pci::Adapter` has set the data before the device was bound, and takes it away when
        // it is unbound, with the lock held.
        let data = unsafe { pdev.as_ref().drvdata_borrow::<T::Data<'_>>() };

        f(pdev, T::state(data))
    }

    /// # Safety
    ///
    /// `dev` must be that of a PCI device.
    unsafe fn pdev(dev: *mut bindings::device) -> *mut bindings::pci_dev {
        // SAFETY: By this function's requirements.
        unsafe { kernel::container_of!(dev, bindings::pci_dev, dev) }
    }

    extern "C" fn suspend_callback(dev: *mut bindings::device) -> c_int {
        // SAFETY: The PM core calls this for a device of this driver, with its lock held.
        from_result(|| unsafe { Self::with(Self::pdev(dev), T::suspend) }.map(|()| 0))
    }

    extern "C" fn resume_callback(dev: *mut bindings::device) -> c_int {
        // SAFETY: The PM core calls this for a device of this driver, with its lock held.
        from_result(|| unsafe { Self::with(Self::pdev(dev), T::resume) }.map(|()| 0))
    }

    extern "C" fn reset_prepare_callback(pdev: *mut bindings::pci_dev) {
        // SAFETY: The PCI core calls this for a device of this driver, with its lock held.
        unsafe { Self::with(pdev, T::reset_prepare) };
    }

    extern "C" fn reset_done_callback(pdev: *mut bindings::pci_dev) {
        // SAFETY: The PCI core calls this for a device of this driver, with its lock held.
        unsafe { Self::with(pdev, T::reset_done) };
    }

    extern "C" fn error_detected_callback(
        pdev: *mut bindings::pci_dev,
        state: bindings::pci_channel_state_t,
    ) -> bindings::pci_ers_result_t {
        let channel = match state {
            bindings::pci_channel_io_normal => Channel::Open,
            bindings::pci_channel_io_frozen => Channel::Frozen,
            _ => Channel::Failed,
        };

        // SAFETY: The PCI core calls this for a device of this driver, with its lock held.
        unsafe { Self::with(pdev, |dev, state| T::error_detected(dev, state, channel)) }.as_raw()
    }

    extern "C" fn slot_reset_callback(pdev: *mut bindings::pci_dev) -> bindings::pci_ers_result_t {
        // SAFETY: The PCI core calls this for a device of this driver, with its lock held.
        unsafe { Self::with(pdev, T::slot_reset) }.as_raw()
    }

    extern "C" fn error_resume_callback(pdev: *mut bindings::pci_dev) {
        // SAFETY: The PCI core calls this for a device of this driver, with its lock held.
        unsafe { Self::with(pdev, T::error_resume) };
    }

    extern "C" fn shutdown_callback(pdev: *mut bindings::pci_dev) {
        // SAFETY: The driver core calls this for a device of this driver, with its lock held.
        unsafe { Self::with(pdev, T::shutdown) };
    }
}
