// SPDX-License-Identifier: GPL-2.0

//! Events that user space reads from an open DRM file.
//!
//! C header: [`include/drm/drm_file.h`](srctree/include/drm/drm_file.h)

use core::{
    mem::offset_of,
    ptr::{
        addr_of_mut,
        NonNull, //
    }, //
};

use kernel::{
    alloc::flags::{
        __GFP_NOWARN,
        __GFP_ZERO, //
    },
    error::to_result,
    prelude::*,
    sync::{
        new_spinlock_irq,
        Arc,
        SpinLockIrq, //
    }, //
};

use crate::bindings::raw as bindings;

/// An open file and its device.
struct Target {
    dev: NonNull<bindings::drm_device>,
    file: NonNull<bindings::drm_file>,
}

// SAFETY: Both belong to no thread.
unsafe impl Send for Target {}

/// An event as the DRM core keeps it until it is read.
///
/// # Invariants
///
/// `base` is first, so that freeing it frees all.
#[repr(C)]
struct Pending<E> {
    base: bindings::drm_pending_event,
    event: E,
}

/// Where the events of an open file go.
///
/// # Invariants
///
/// The target's file is open, and its events are not released yet.
#[pin_data]
pub(crate) struct EventSink {
    #[pin]
    target: SpinLockIrq<Option<Target>>,
}

impl EventSink {
    /// One that is of no file yet.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                target <- new_spinlock_irq!(None),
            }),
            GFP_KERNEL,
        )
    }

    /// Has events go to a file.
    ///
    /// # Safety
    ///
    /// `file` must be open on `dev`, and [`close`](Self::close) be called before its events are
    /// released.
    pub(super) unsafe fn open(
        &self,
        dev: NonNull<bindings::drm_device>,
        file: NonNull<bindings::drm_file>,
    ) {
        // INVARIANT: By this function's requirements.
        *self.target.lock() = Some(Target { dev, file });
    }

    /// Ends that. Waits until nobody sends one.
    pub(super) fn close(&self) {
        *self.target.lock() = None;
    }

    /// Sends an event (`drm_send_event()`), which begins with a `struct drm_event`; that is filled in.
    /// May be called in any context but from an NMI.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if the file has as many unread events as it can have, or if memory is short; `ENODEV` if
    /// the file is being closed.
    pub(crate) fn send<E: FromBytes + IntoBytes>(&self, kind: u32, mut event: E) -> Result {
        const HEAD: usize = size_of::<bindings::drm_event>();
        const {
            assert!(size_of::<E>() >= HEAD && align_of::<E>() >= align_of::<bindings::drm_event>());
            assert!(offset_of!(Pending<E>, base) == 0);
        };
        let length = u32::try_from(size_of::<E>())?;
        let (head_kind, rest) = event.as_mut_bytes().split_at_mut(size_of::<u32>());

        head_kind.copy_from_slice(&kind.to_ne_bytes());
        rest[..size_of::<u32>()].copy_from_slice(&length.to_ne_bytes());

        let target = self.target.lock();
        let Target { dev, file } = target.as_ref().ok_or(ENODEV)?;
        let pending = KBox::new(
            Pending {
                base: bindings::drm_pending_event::default(),
                event,
            },
            GFP_ATOMIC | __GFP_NOWARN | __GFP_ZERO,
        )?;
        let raw = KBox::into_raw(pending);

        // SAFETY: By the type invariant the file is open as long as the lock is held. The event is ours
        // until it is sent, and was allocated by `kmalloc()`, with `base` first; it begins with a
        // `struct drm_event`. After that it is the DRM core's.
        unsafe {
            let ret = bindings::drm_event_reserve_init(
                dev.as_ptr(),
                file.as_ptr(),
                addr_of_mut!((*raw).base),
                addr_of_mut!((*raw).event).cast(),
            );

            if ret != 0 {
                drop(KBox::from_raw(raw));
                return to_result(ret);
            }
            bindings::drm_send_event(dev.as_ptr(), addr_of_mut!((*raw).base));
        }
        Ok(())
    }
}
