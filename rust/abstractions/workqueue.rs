// SPDX-License-Identifier: GPL-2.0

//! Delayed work that reschedules itself, and runs only while a device is bound.
//!
//! [`kernel::workqueue`] can start delayed work, but neither move its time (`mod_delayed_work()`)
//! nor disable it when the device is unbound.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use core::ops::Deref;

use kernel::{
    device::{
        self,
        Bound, //
    },
    devres,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    },
    time::{
        msecs_to_jiffies,
        Msecs, //
    },
    types::Opaque, //
};

use crate::bindings::raw as bindings;

/// Periodic work.
pub(crate) trait Tick: Send + Sync + 'static {
    /// Does the work. It runs in process context, while `parent` is bound, and never concurrently
    /// with itself. Returns the ms until the next run; [`None`] if only [`Periodic::kick`] is to
    /// start it.
    fn tick(&self, parent: &device::Device<Bound>) -> Option<Msecs>;
}

/// A value with periodic work, which runs only while a device is bound.
///
/// # Invariants
///
/// `work` is initialised, with `tick_callback`, and disabled before `parent` is unbound.
#[pin_data(PinnedDrop)]
pub(crate) struct Periodic<T: Tick> {
    #[pin]
    work: Opaque<bindings::delayed_work>,
    parent: ARef<device::Device>,
    #[pin]
    inner: T,
}

// SAFETY: A `struct delayed_work` has no reference to the thread that made it.
unsafe impl<T: Tick> Send for Periodic<T> {}

// SAFETY: The workqueue does its own locking; `T` is `Sync`.
unsafe impl<T: Tick> Sync for Periodic<T> {}

/// Stops the work when dropped.
struct Stop<T: Tick>(Arc<Periodic<T>>);

impl<T: Tick> Drop for Stop<T> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl<T: Tick> Periodic<T> {
    /// A value whose work runs for the first time after [`kick`](Self::kick), and never again once
    /// `parent` is unbound.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, and those of `inner`.
    pub(crate) fn new(
        parent: &device::Device<Bound>,
        inner: impl PinInit<T, Error>,
    ) -> Result<Arc<Self>> {
        let init = try_pin_init!(Self {
            work <- Opaque::ffi_init(|work: *mut bindings::delayed_work| {
                // SAFETY: `work` is memory for work that never moves.
                unsafe { bindings::init_delayed_work(work, Some(Self::tick_callback)) };
            }),
            parent: parent.into(),
            inner <- inner,
        }? Error);
        let this = Arc::pin_init(init, GFP_KERNEL)?;

        // INVARIANT: Devres stops it while the device is still bound.
        devres::register::<Stop<T>, Error>(parent, Ok::<_, Error>(Stop(this.clone())), GFP_KERNEL)?;
        Ok(this)
    }

    /// Schedules the next run to be `delay` ms from now, earlier or later than it was due
    /// (`mod_delayed_work()`). Has no effect after [`stop`](Self::stop). May be called in any
    /// context.
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

    /// Schedules a run in `delay` ms, unless one is due already (`queue_delayed_work()`). Has no effect
    /// after [`stop`](Self::stop). May be called in any context.
    pub(crate) fn schedule(&self, delay: Msecs) {
        // SAFETY: By the type invariant; dropping the value waits for the work.
        unsafe {
            bindings::queue_delayed_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                bindings::system_power_efficient_wq,
                self.work.get(),
                msecs_to_jiffies(delay),
            )
        };
    }

    /// Waits for a run in progress and prevents all further ones (`disable_delayed_work_sync()`).
    pub(crate) fn stop(&self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::disable_delayed_work_sync(self.work.get()) };
    }

    extern "C" fn tick_callback(work: *mut bindings::work_struct) {
        // SAFETY: The workqueue calls this with the work of a `Periodic<T>` that is not dropped
        // yet.
        let this = unsafe {
            let work = kernel::container_of!(work, bindings::delayed_work, work);

            &*kernel::container_of!(Opaque::cast_from(work), Self, work)
        };
        // SAFETY: By the type invariant: the work is not disabled yet.
        let parent = unsafe { this.parent.as_bound() };

        if let Some(delay) = this.inner.tick(parent) {
            // Unless somebody has kicked it meanwhile, who may want it earlier.
            this.schedule(delay);
        }
    }
}

/// A [`Periodic`] of whatever type, for those who only start it.
pub(crate) trait Schedule: Send + Sync {
    /// Schedules a run in `delay` ms, unless one is due already. May be called in any context.
    fn schedule(&self, delay: Msecs);
}

impl<T: Tick> Schedule for Periodic<T> {
    fn schedule(&self, delay: Msecs) {
        Self::schedule(self, delay);
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

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/abstractions/workqueue.rs"]
mod kunit;
