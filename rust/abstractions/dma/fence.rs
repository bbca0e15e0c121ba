// SPDX-License-Identifier: GPL-2.0

//! DMA fences.
//!
//! The side that does the work has a [`Context`], which orders its fences, and a [`Pending`] for
//! each fence that it still has to signal. All others have a [`Fence`] and wait for it.
//!
//! A fence is created in two steps. [`Allocation::new`] allocates the memory; it may sleep and may
//! enter memory reclaim, so no lock that is needed to signal a fence may be held.
//! [`Allocation::publish`] makes the fence the next one of its context. It cannot fail, and is
//! called under the lock that orders the work, so that the fences are in the order of the work.
//!
//! C header: [`include/linux/dma-fence.h`](srctree/include/linux/dma-fence.h)

use core::{
    mem::MaybeUninit,
    ptr::{
        addr_of_mut,
        NonNull, //
    }, //
};

use kernel::{
    error::to_result,
    prelude::*,
    str::as_char_ptr_in_const_context,
    sync::{
        aref::{
            ARef,
            AlwaysRefCounted, //
        },
        atomic::{
            Atomic,
            Relaxed, //
        },
        rcu,
        Arc, //
    },
    time::{
        msecs_to_jiffies,
        Msecs, //
    },
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};

use crate::bindings::raw as bindings;

/// Any `struct dma_fence`.
///
/// # Invariants
///
/// Wraps an initialised, reference-counted fence.
#[repr(transparent)]
pub(crate) struct Fence(Opaque<bindings::dma_fence>);

// SAFETY: A fence may be used and freed by any thread.
unsafe impl Send for Fence {}

// SAFETY: What `&Fence` gives access to is synchronised by the fence's lock.
unsafe impl Sync for Fence {}

// SAFETY: `dma_fence_get()` and `dma_fence_put()` keep the fence alive in between.
unsafe impl AlwaysRefCounted for Fence {
    fn inc_ref(&self) {
        // SAFETY: A shared reference means that the count is not zero.
        unsafe { bindings::dma_fence_get(self.as_raw()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference it holds.
        unsafe { bindings::dma_fence_put(obj.as_ptr().cast()) };
    }
}

impl Fence {
    /// The C fence.
    pub(crate) fn as_raw(&self) -> *mut bindings::dma_fence {
        self.0.get()
    }

    /// # Safety
    ///
    /// `ptr` must point to an initialised fence that stays valid for `'a`.
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut bindings::dma_fence) -> &'a Self {
        // SAFETY: By this function's requirements; `Fence` is transparent.
        unsafe { &*ptr.cast() }
    }

    /// A fence that is signalled, with success (`dma_fence_get_stub()`).
    pub(crate) fn stub() -> ARef<Self> {
        // SAFETY: May be called anywhere; the reference is ours.
        unsafe { ARef::from_raw(NonNull::new_unchecked(bindings::dma_fence_get_stub()).cast()) }
    }

    /// The number of its context.
    pub(crate) fn context(&self) -> u64 {
        // SAFETY: Constant.
        unsafe { (*self.as_raw()).context }
    }

    /// How the work has ended; [`None`] as long as the fence is not signalled
    /// (`dma_fence_get_status()`).
    pub(crate) fn status(&self) -> Option<Result> {
        // SAFETY: By the type invariant.
        match unsafe { bindings::dma_fence_get_status(self.as_raw()) } {
            0 => None,
            status if status < 0 => Some(Err(Error::from_errno(status))),
            _ => Some(Ok(())),
        }
    }

    /// Waits until the fence is signalled, for at most `ms` milliseconds. Returns as
    /// [`status`](Self::status). The wait is not interruptible.
    pub(crate) fn wait_for(&self, ms: Msecs) -> Option<Result> {
        // SAFETY: By the type invariant.
        unsafe {
            bindings::dma_fence_wait_timeout(
                self.as_raw(),
                false,
                c_long::try_from(msecs_to_jiffies(ms)).unwrap_or(c_long::MAX),
            )
        };
        self.status()
    }

    /// Waits until the fence is signalled, with success or with an error, or until `deadline`, in ns
    /// of `CLOCK_MONOTONIC`.
    ///
    /// # Errors
    ///
    /// `ETIME`, not before the deadline; `ERESTARTSYS` on a signal.
    pub(crate) fn wait_until(&self, deadline: i64) -> Result {
        loop {
            // SAFETY: Only computes, and reads the clock.
            let (jiffies, is_past) = unsafe {
                (
                    bindings::drm_timeout_abs_to_jiffies(deadline),
                    bindings::ktime_get() >= deadline,
                )
            };

            // Jiffies are coarse: a wait of so many may end before the deadline, and then another
            // one is due.
            // SAFETY: By the type invariant.
            let left = unsafe {
                bindings::dma_fence_wait_timeout(
                    self.as_raw(),
                    true,
                    jiffies.max(c_long::from(!is_past)),
                )
            };
            match left {
                0 if is_past => return Err(ETIME),
                0 => (),
                left if left < 0 => return Err(Error::from_errno(left as c_int)),
                _ => return Ok(()),
            }
        }
    }

    /// Waits until the fence is signalled, with success or with an error. The wait is not
    /// interruptible.
    pub(crate) fn wait(&self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::dma_fence_wait_timeout(self.as_raw(), false, c_long::MAX) };
    }
}

/// Some fences of a resv, in an array that the C side allocated.
///
/// # Invariants
///
/// `fences` is an array of `count` references that this value owns, or `count` is 0.
pub(crate) struct Fences {
    fences: *mut *mut bindings::dma_fence,
    count: usize,
}

impl Fences {
    /// Goes through the fences.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Fence> {
        // SAFETY: By the type invariant.
        (0..self.count).map(|index| unsafe { Fence::from_raw(*self.fences.add(index)) })
    }
}

impl Drop for Fences {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. The array was allocated with `kmalloc()`, or is null.
        unsafe {
            for index in 0..self.count {
                bindings::dma_fence_put(*self.fences.add(index));
            }
            bindings::kvfree(self.fences.cast());
        }
    }
}

/// The fences of a resv with this usage, or one that is stronger, that are not signalled yet
/// (`dma_resv_get_fences()`).
///
/// # Errors
///
/// `ENOMEM`.
///
/// # Safety
///
/// `resv` must be initialised.
pub(crate) unsafe fn of_resv(
    resv: *mut bindings::dma_resv,
    usage: bindings::dma_resv_usage,
) -> Result<Fences> {
    let mut fences = core::ptr::null_mut();
    let mut count = 0;

    // SAFETY: By this function's requirements; the rest is ours to be filled.
    to_result(unsafe { bindings::dma_resv_get_fences(resv, usage, &mut count, &mut fences) })?;

    // INVARIANT: The function gives us the array and the references.
    Ok(Fences {
        fences,
        count: count as usize,
    })
}

/// The side that does the work of a [`Context`].
pub(crate) trait Timeline: Send + Sync + 'static {
    /// Name of the driver.
    const DRIVER_NAME: &'static CStr;
    /// Name of the context.
    const NAME: &'static CStr;

    /// Called when a fence of the context should be signalled within `ms` milliseconds
    /// (`dma_fence_set_deadline()`). May be called in any context, and must not sleep.
    fn set_deadline(&self, ms: Msecs);
}

/// A fence context: its fences are signalled in the order in which they are published.
///
/// Each [`Pending`] keeps its context alive. Dropping the last reference waits for an RCU grace
/// period, because a fence's operations may still be running when the fence is signalled.
///
/// # Invariants
///
/// No other context has the same `id`.
pub(crate) struct Context<T: Timeline> {
    id: u64,
    seqno: Atomic<i64>,
    timeline: Arc<T>,
}

impl<T: Timeline> Context<T> {
    /// A context without fences (`dma_fence_context_alloc()`).
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(timeline: Arc<T>) -> Result<Arc<Self>> {
        Ok(Arc::new(
            Self {
                // INVARIANT: The kernel gives each number once.
                // SAFETY: May be called anywhere.
                id: unsafe { bindings::dma_fence_context_alloc(1) },
                seqno: Atomic::new(0),
                timeline,
            },
            GFP_KERNEL,
        )?)
    }
}

impl<T: Timeline> Context<T> {
    /// Its number, which its fences have.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }
}

impl<T: Timeline> Drop for Context<T> {
    fn drop(&mut self) {
        // A thread that found a fence unsignalled may still be in one of its operations, which use
        // the context.
        rcu::synchronize_rcu();
    }
}

/// A fence as it is allocated; the C side frees it as a `struct dma_fence`.
#[repr(C)]
struct Inner<T: Timeline> {
    fence: bindings::dma_fence,
    context: *const Context<T>,
}

/// Memory for a fence that is not published yet.
pub(crate) struct Allocation<T: Timeline>(KBox<MaybeUninit<Inner<T>>>);

impl<T: Timeline> Allocation<T> {
    const OPS: bindings::dma_fence_ops = bindings::dma_fence_ops {
        get_driver_name: Some(Self::driver_name_callback),
        get_timeline_name: Some(Self::timeline_name_callback),
        set_deadline: Some(Self::set_deadline_callback),
        enable_signaling: None,
        signaled: None,
        wait: None,
        // Without a `release` of ours the fence is freed by common code. So a signalled fence needs
        // neither this module nor its context, and may outlive both.
        release: None,
    };

    /// Allocates memory for a fence.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(KBox::new_uninit(GFP_KERNEL)?))
    }

    /// Makes it the next fence of `context` (`dma_fence_init()`). The caller must serialise the
    /// calls for one context.
    pub(crate) fn publish(self, context: Arc<Context<T>>) -> Pending<T> {
        let raw: *mut Inner<T> = KBox::into_raw(self.0).cast();
        // CAST: Counts from 1.
        let seqno = context.seqno.fetch_add(1, Relaxed) as u64 + 1;

        // SAFETY: `raw` is memory for a fence, and the operations are static. `Pending` keeps the
        // context until the fence is signalled, and the context waits for who still uses it then.
        let fence = unsafe {
            (*raw).context = &*context;
            bindings::dma_fence_init(
                addr_of_mut!((*raw).fence),
                const { &Self::OPS },
                core::ptr::null_mut(),
                context.id,
                seqno,
            );
            ARef::from_raw(NonNull::new_unchecked(raw.cast()))
        };

        // INVARIANT: Nobody else signals it.
        Pending {
            fence,
            signalled: Atomic::new(false),
            _context: context,
        }
    }

    extern "C" fn driver_name_callback(_fence: *mut bindings::dma_fence) -> *const c_char {
        as_char_ptr_in_const_context(T::DRIVER_NAME)
    }

    extern "C" fn timeline_name_callback(_fence: *mut bindings::dma_fence) -> *const c_char {
        as_char_ptr_in_const_context(T::NAME)
    }

    extern "C" fn set_deadline_callback(
        fence: *mut bindings::dma_fence,
        deadline: bindings::ktime_t,
    ) {
        // SAFETY: The kernel calls this with one of our fences, inside an RCU read section that
        // began before it was signalled: so its context is not gone.
        let timeline = unsafe { &(*(*fence.cast::<Inner<T>>()).context).timeline };
        // SAFETY: May be called anywhere.
        let left = deadline.saturating_sub(unsafe { bindings::ktime_get() });

        // CAST: Within bounds.
        timeline.set_deadline((left / 1_000_000).clamp(0, i64::from(i32::MAX)) as Msecs);
    }
}

/// A fence that is still to be signalled.
///
/// If it is dropped without a signal, the fence is signalled with `ECANCELED`. So nothing waits for
/// ever.
///
/// # Invariants
///
/// Only this value signals `fence`, and only the thread that changes `signalled` to `true` does so.
pub(crate) struct Pending<T: Timeline> {
    fence: ARef<Fence>,
    signalled: Atomic<bool>,
    /// The fence points to its context until it is signalled.
    _context: Arc<Context<T>>,
}

impl<T: Timeline> Pending<T> {
    /// The fence.
    pub(crate) fn fence(&self) -> &ARef<Fence> {
        &self.fence
    }

    /// Signals the fence with the result of the work (`dma_fence_signal()`). Only the first call
    /// has an effect.
    pub(crate) fn signal(&self, result: Result) {
        let raw = self.fence.as_raw();

        if self.signalled.xchg(true, Relaxed) {
            return;
        }
        // SAFETY: By the type invariants; the error is ours to set until the fence is signalled.
        unsafe {
            if let Err(err) = result {
                (*raw).error = err.to_errno();
            }
            bindings::dma_fence_signal(raw);
        }
    }
}

impl<T: Timeline> Drop for Pending<T> {
    fn drop(&mut self) {
        self.signal(Err(ECANCELED));
    }
}

/// A fence-signalling critical section (`dma_fence_begin_signalling()`).
///
/// It is an annotation for lockdep, which reports if the section waits for anything that may itself
/// wait for a fence: memory reclaim, or a lock that is held while a fence is waited for.
pub(crate) struct Signalling(bool, NotThreadSafe);

impl Signalling {
    /// Enters it.
    pub(crate) fn begin() -> Self {
        // SAFETY: May be called in any context.
        let cookie = unsafe { bindings::dma_fence_begin_signalling() };

        Self(cookie, NotThreadSafe)
    }
}

impl Drop for Signalling {
    fn drop(&mut self) {
        // SAFETY: Entered in `begin`, on this thread.
        unsafe { bindings::dma_fence_end_signalling(self.0) };
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../../tests/kunit/abstractions/dma/fence.rs"]
mod kunit;
