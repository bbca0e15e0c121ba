// SPDX-License-Identifier: GPL-2.0

//! Notices of system sleep: before processes are frozen, and after they go on again.
//!
//! C header: [`include/linux/suspend.h`](srctree/include/linux/suspend.h)

use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

use crate::bindings::raw as bindings;

/// Who is told.
pub(crate) trait SleepListener: Send + Sync + 'static {
    /// The system is going to sleep. Processes still run, and memory can be reclaimed and swapped out.
    ///
    /// # Errors
    ///
    /// Any. Then the system does not sleep, and [`awake`](Self::awake) is not called.
    fn prepare(&self) -> Result;

    /// The system has slept, or could not. Processes run again.
    fn awake(&self);
}

/// A registered notifier. Dropping it waits for the listener.
///
/// # Invariants
///
/// `block` is registered, with our callback.
#[pin_data(PinnedDrop)]
pub(crate) struct SleepNotifier<L: SleepListener> {
    #[pin]
    block: Opaque<bindings::notifier_block>,
    listener: L,
}

// SAFETY: A notifier may be unregistered by any thread.
unsafe impl<L: SleepListener> Send for SleepNotifier<L> {}

// SAFETY: The chain has a lock of its own; `L` is `Sync`.
unsafe impl<L: SleepListener> Sync for SleepNotifier<L> {}

impl<L: SleepListener> SleepNotifier<L> {
    /// Registers `listener` (`register_pm_notifier()`).
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(listener: L) -> Result<Pin<KBox<Self>>> {
        let init = try_pin_init!(Self {
            listener,
            block <- Opaque::try_ffi_init(|block: *mut bindings::notifier_block| {
                // SAFETY: `block` is memory for a notifier that stays where it is until it is
                // unregistered. The listener is complete.
                to_result(unsafe {
                    block.write(bindings::notifier_block {
                        notifier_call: Some(Self::callback),
                        ..Default::default()
                    });
                    bindings::register_pm_notifier(block)
                })
            }),
        }? Error);

        KBox::pin_init(init, GFP_KERNEL)
    }

    extern "C" fn callback(
        block: *mut bindings::notifier_block,
        action: c_ulong,
        _data: *mut c_void,
    ) -> c_int {
        // SAFETY: The kernel calls this with a block that is registered, and so with one of ours.
        let this = unsafe { &*kernel::container_of!(Opaque::cast_from(block), Self, block) };

        // CAST: The kernel's bindings have the numbers, but not the type.
        match action as u32 {
            bindings::PM_SUSPEND_PREPARE | bindings::PM_HIBERNATION_PREPARE => {
                let err = this.listener.prepare().err().map_or(0, Error::to_errno);

                // SAFETY: Only calculates.
                unsafe { bindings::notifier_from_errno(err) }
            }
            bindings::PM_POST_SUSPEND | bindings::PM_POST_HIBERNATION => {
                this.listener.awake();
                // CAST: As above.
                bindings::NOTIFY_DONE as c_int
            }
            // CAST: As above.
            _ => bindings::NOTIFY_DONE as c_int,
        }
    }
}

#[pinned_drop]
impl<L: SleepListener> PinnedDrop for SleepNotifier<L> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant.
        unsafe { bindings::unregister_pm_notifier(self.block.get()) };
    }
}
