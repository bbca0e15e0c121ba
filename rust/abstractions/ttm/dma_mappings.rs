// SPDX-License-Identifier: GPL-2.0

//! The end of all DMA, when a device is unbound from its driver.

use core::ops::ControlFlow;

use kernel::{
    sync::aref::ARef,
    time::{
        delay::fsleep,
        Delta, //
    }, //
};

use crate::abstractions::ttm::{
    ctx::OperationCtx,
    driver::Driver,
    lru::{
        self,
        Busy, //
    },
    object::Object,
    pin,
    reserved::Locked,
    tt::Tt,
    types::DrmDevice, //
};

/// A guard that unmaps the pages of all buffers from DMA, and frees them, when it is dropped.
///
/// Drop it after the device was unplugged, so that no pages are mapped any more, and after the
/// fences of the device's work were signalled, while the parent is still bound.
///
/// `ttm_device_clear_dma_mappings()` does the same, but takes the pages away without the lock of the
/// buffer, and spins while a buffer is being freed by somebody else.
pub(crate) struct DmaMappings<T: Driver>(ARef<DrmDevice<T>>);

impl<T: Driver> DmaMappings<T> {
    /// A guard for the buffers of `dev`.
    pub(crate) fn new(dev: ARef<DrmDevice<T>>) -> Self {
        Self(dev)
    }
}

impl<T: Driver> Drop for DmaMappings<T> {
    fn drop(&mut self) {
        let Some(bdev) = T::managers_of_pages(&self.0).first().map(|man| man.dev()) else {
            return;
        };

        // Ghosts and deleted buffers go by themselves, as their fences are signalled.
        bdev.wait_for_delayed_deletes();
        loop {
            self.unmap_all();
            if !bdev.has_mapped() {
                return;
            }
            // A buffer that is in no list at the moment is being moved, pinned or freed by somebody.
            fsleep(Delta::from_millis(1));
        }
    }
}

impl<T: Driver> DmaMappings<T> {
    /// Unmaps the pages of the buffers in the lists.
    fn unmap_all(&self) {
        for man in T::managers_of_pages(&self.0) {
            lru::walk(
                man,
                &mut OperationCtx::uninterruptible(),
                Busy::Wait,
                |bo, _| {
                    // SAFETY: The walk holds the buffer's resv, and a reference, during the call.
                    unsafe {
                        Tt::<T>::unmap((*bo.as_ptr()).ttm);

                        // The content is not needed: user space cannot reach it any more.
                        if let Some(object) = Object::<T>::from_ttm(bo.as_ptr()) {
                            let mut bo = Locked::new(object);

                            bo.invalidate_mappings();
                            if !(*bo.as_ttm()).deleted && !bo.is_mapped_elsewhere() {
                                bo.discard();
                            }
                        }
                    }
                    ControlFlow::Continue(())
                },
            );
        }
        // Another device uses the pages of these, so they are not freed.
        if let Some(man) = T::managers_of_pages(&self.0).first() {
            pin::walk::<T>(man.dev(), |bo| {
                // SAFETY: resv is held during the call.
                unsafe { Tt::<T>::unmap((*bo.as_ttm()).ttm) };
            });
        }
    }
}
