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

/// The side that does the work of a [`Context`].
pub(crate) trait Timeline: Send + Sync + 'static {
    /// Name of the driver.
    const DRIVER_NAME: &'static CStr;
    /// Name of the context.
    const NAME: &'static CStr;

    /// Called when a fence that was [awaited](super::awaited::Awaited) is signalled. May be called in
    /// any context, and must not sleep.
    fn awaited_signalled(&self);

    /// Called when a fence of the context should be signalled within `ms` milliseconds
    /// (`dma_fence_set_deadline()`). May be called in any context, and must not sleep.
    fn set_deadline(&self, ms: Msecs);
}

/// The numbers of fences that are signalled in the order in which they are published.
///
/// # Invariants
///
/// No other sequence has the same `id`.
pub(crate) struct Sequence {
    id: u64,
    last: Atomic<i64>,
}

impl Sequence {
    /// A sequence without fences (`dma_fence_context_alloc()`).
    pub(crate) fn new() -> Self {
        Self {
            // INVARIANT: The kernel gives each number once.
            // SAFETY: May be called anywhere.
            id: unsafe { bindings::dma_fence_context_alloc(1) },
            last: Atomic::new(0),
        }
    }

    /// Its number, which its fences have as that of their context.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The number of the next fence.
    fn next(&self) -> u64 {
        // CAST: Counts from 1.
        self.last.fetch_add(1, Relaxed) as u64 + 1
    }
}

/// A fence context: who signals fences, of a sequence of its own and of others.
///
/// Each [`Pending`] keeps its context alive. Dropping the last reference waits for an RCU grace
/// period, because a fence's operations may still be running when the fence is signalled.
pub(crate) struct Context<T: Timeline> {
    sequence: Sequence,
    timeline: Arc<T>,
}

impl<T: Timeline> Context<T> {
    /// A context without fences.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(timeline: Arc<T>) -> Result<Arc<Self>> {
        Ok(Arc::new(
            Self {
                sequence: Sequence::new(),
                timeline,
            },
            GFP_KERNEL,
        )?)
    }
}

impl<T: Timeline> Context<T> {
    /// The sequence of its own.
    pub(crate) fn sequence(&self) -> &Sequence {
        &self.sequence
    }

    /// What signals the fences.
    pub(super) fn timeline(&self) -> &T {
        &self.timeline
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

    /// The operations, always at the same address. [`is_unsignalled`](Self::is_unsignalled) knows the
    /// fences by it.
    #[inline(never)]
    fn ops() -> &'static bindings::dma_fence_ops {
        const { &Self::OPS }
    }

    /// Whether a fence was published by work of `T`, and is not signalled yet.
    pub(crate) fn is_unsignalled(fence: &Fence) -> bool {
        // SAFETY: By the type invariant. The operations of an unsignalled fence do not change.
        let ops = unsafe { core::ptr::read_volatile(&raw const (*fence.as_raw()).ops) };

        core::ptr::eq(ops.cast(), Self::ops()) && fence.status().is_none()
    }

    /// Allocates memory for a fence.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(KBox::new_uninit(GFP_KERNEL)?))
    }

    /// Makes it the next fence of the sequence of `context` (`dma_fence_init()`). The caller must
    /// serialise the calls for one sequence.
    pub(crate) fn publish(self, context: Arc<Context<T>>) -> Pending<T> {
        let (id, seqno) = (context.sequence.id(), context.sequence.next());

        self.init(context, id, seqno)
    }

    /// As [`publish`](Self::publish), of another sequence.
    pub(crate) fn publish_in(self, context: Arc<Context<T>>, sequence: &Sequence) -> Pending<T> {
        self.init(context, sequence.id(), sequence.next())
    }

    fn init(self, context: Arc<Context<T>>, id: u64, seqno: u64) -> Pending<T> {
        let raw: *mut Inner<T> = KBox::into_raw(self.0).cast();

        // SAFETY: `raw` is memory for a fence, and the operations are static. `Pending` keeps the
        // context until the fence is signalled, and the context waits for who still uses it then.
        let fence = unsafe {
            (*raw).context = &*context;
            bindings::dma_fence_init(
                addr_of_mut!((*raw).fence),
                Self::ops(),
                core::ptr::null_mut(),
                id,
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
