// SPDX-License-Identifier: GPL-2.0

//! Work that does itself again after a while.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use core::ops::Deref;

use kernel::{
    prelude::*,
    time::{
        msecs_to_jiffies,
        Msecs, //
    },
    types::Opaque, //
};

use crate::bindings::raw as bindings;

/// What is to be done again and again.
pub(crate) trait Tick: Send + Sync + 'static {
    /// Does it, in process context, never twice at once. Returns after how many ms to do it again;
    /// [`None`] waits for [`Periodic::kick`].
    fn tick(&self) -> Option<Msecs>;
}

/// A value with work of its own.
///
/// # Invariants
///
/// `work` is initialised, with `tick_callback`.
#[pin_data(PinnedDrop)]
pub(crate) struct Periodic<T: Tick> {
    #[pin]
    work: Opaque<bindings::delayed_work>,
    #[pin]
    inner: T,
}

// SAFETY: Work belongs to no thread.
unsafe impl<T: Tick> Send for Periodic<T> {}

// SAFETY: The workqueue does its own locking; `T` is `Sync`.
unsafe impl<T: Tick> Sync for Periodic<T> {}

impl<T: Tick> Periodic<T> {
    /// A value whose work does not run before it is kicked.
    pub(crate) fn new(inner: impl PinInit<T, Error>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            work <- Opaque::ffi_init(|work: *mut bindings::delayed_work| {
                // SAFETY: `work` is memory for work that never moves.
                unsafe { bindings::init_delayed_work(work, Some(Self::tick_callback)) };
            }),
            inner <- inner,
        }? Error)
    }

    /// Has the work done in `delay` ms, instead of when it would have been
    /// (`mod_delayed_work()`). After [`stop`](Self::stop) nothing happens.
    pub(crate) fn kick(&self, delay: Msecs) {
        // SAFETY: By the type invariant; dropping the value waits for the work.
        unsafe {
            bindings::mod_delayed_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                bindings::system_power_efficient_wq,
                self.work.get(),
                msecs_to_jiffies(delay),
            )
        };
    }

    /// Waits for the work, and has it never done again (`disable_delayed_work_sync()`).
    pub(crate) fn stop(&self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::disable_delayed_work_sync(self.work.get()) };
    }

    extern "C" fn tick_callback(work: *mut bindings::work_struct) {
        // SAFETY: The workqueue calls this with the work of a `Periodic<T>` that is not dropped yet.
        let this = unsafe {
            let work = kernel::container_of!(work, bindings::delayed_work, work);

            &*kernel::container_of!(Opaque::cast_from(work), Self, work)
        };

        if let Some(delay) = this.inner.tick() {
            this.kick(delay);
        }
    }
}

impl<T: Tick> Deref for Periodic<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

#[pinned_drop]
impl<T: Tick> PinnedDrop for Periodic<T> {
    fn drop(self: Pin<&mut Self>) {
        self.stop();
    }
}
