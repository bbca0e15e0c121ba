// SPDX-License-Identifier: GPL-2.0

//! What a driver does for TTM: `struct ttm_device_funcs` as a trait.
//!
//! C header: [`include/drm/ttm/ttm_device.h`](srctree/include/drm/ttm/ttm_device.h)

use core::ops::Range;

use kernel::{
    prelude::*,
    sync::aref::ARef, //
};

use crate::abstractions::{
    dma::{
        attachment::DmaBuf,
        fence::Fence, //
    },
    drm::{
        self,
        Entered, //
    },
    ttm::{
        aperture::Aperture,
        ctx::OperationCtx,
        manager::BaseManager,
        object::Object,
        placement::{
            MemType,
            Place, //
        },
        reserved::Locked,
        resource::Resource,
        types::{
            DrmDevice,
            Types, //
        }, //
    }, //
};

/// A driver's decision about a move.
pub(crate) enum Move {
    /// There is nothing to copy. The new resource takes effect at once.
    Null,
    /// The content is dropped, and reads as zero from now on. The device must not use it any more.
    Drop,
    /// The device copies the content, and signals this fence at the end.
    ///
    /// The caller guarantees the order of accesses: any later use of either resource by the device
    /// is on the same timeline, and so after the copy; any other use waits for the fence. Old memory
    /// on the device is free at once. So the manager must see to it that the device is the first to
    /// write to it again.
    Fenced(ARef<Fence>),
    /// The CPU is to copy the content, through the [`Aperture`] for memory on the device.
    Copy,
    /// The buffer has to be moved to this place first (`-EMULTIHOP`).
    Hop(Place),
}

/// When the content of a buffer arrives that was moved successfully.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// It is there already.
    Now,
    /// It is there when the fence of the move is signalled.
    Fenced,
}

/// A kind of reference that keeps a buffer alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefKind {
    /// A handle of a client.
    Handle,
    /// A mapping by the CPU.
    Mapping,
    /// A dma-buf made of it.
    Export,
}

/// `struct ttm_device_funcs` as a trait. The buffer's resv is held in every method that gets a
/// [`Locked`]. Methods with a body are for drivers that count, purge, or have work of their own on
/// the device; the others need not write them.
pub(crate) trait Driver: Types<Drm: drm::Types<Object = Object<Self>>> {
    /// What [`ranges`](Driver::ranges) returns.
    type Ranges<'a>: Iterator<Item = Range<u64>> + 'a;

    /// The aperture, which shows the first bytes of the memory on the device.
    fn aperture(dev: &DrmDevice<Self>) -> &Aperture;

    /// The byte ranges of memory on the device that make up a resource, in the order of the
    /// buffer's pages, without its first `skip` bytes. To skip must not take long, also in a
    /// resource of many pieces.
    ///
    /// A driver that uses [`Move::Copy`] must not let memory outside of the aperture be written.
    /// The copy reads zeroes there, and fails if it would have to write there.
    fn ranges<'a>(dev: &'a DrmDevice<Self>, res: &'a Resource, skip: u64) -> Self::Ranges<'a>;

    /// Where a buffer is evicted to, in order of preference.
    fn evict_places(_bo: &Locked<'_, Self>) -> &'static [Place] {
        const SYSTEM: Place = Place::anywhere(MemType::System);

        &[SYSTEM]
    }

    /// The managers whose memory consists of system pages, in the order in which the
    /// [`Shrinker`](super::Shrinker) walks them.
    fn managers_of_pages(dev: &DrmDevice<Self>) -> [&BaseManager; 2];

    /// The device addresses at which the pages of a buffer are mapped.
    type Binding: Send + Unpin;

    /// Maps a buffer's pages, which are at these bus addresses, at the device addresses of `res`.
    /// Returns [`None`] if `res` has none. Called before a move to `res`.
    fn bind(
        _entered: &Entered<'_>,
        _dev: &DrmDevice<Self>,
        _res: &Resource,
        _pages: &[Range<u64>],
    ) -> Option<Self::Binding> {
        None
    }

    /// Unmaps the device addresses, because the pages or the addresses are about to be freed. Not
    /// called once the device is unplugged; then the binding is dropped.
    fn unbind(_entered: &Entered<'_>, _dev: &DrmDevice<Self>, _binding: Self::Binding) {}

    /// Decides how to move a buffer to `new`, and starts the copy if the device does it.
    ///
    /// # Errors
    ///
    /// After an error the buffer stays where it is.
    fn move_(bo: &Locked<'_, Self>, new: &Resource, ctx: &mut OperationCtx) -> Result<Move>;

    /// A value that [`move_start`](Driver::move_start) passes to [`move_end`](Driver::move_end).
    type Moving<'a>: Default;

    /// Called before a buffer is moved to `new`. `evict` says that TTM moves it to make room.
    fn move_start<'a>(_bo: &Locked<'a, Self>, _new: &Resource, _evict: bool) -> Self::Moving<'a> {
        Self::Moving::default()
    }

    /// Called after a move with its result. Not called for [`Move::Hop`]: TTM moves the buffer to
    /// the hop, which is a move of its own, and then tries again.
    fn move_end(_bo: &Locked<'_, Self>, _moving: Self::Moving<'_>, _result: &Result<Moved>) {}

    /// Called first when the last reference on a buffer is gone. resv is not held.
    fn free_start(_object: &Object<Self>) {}

    /// Called last when a buffer is freed: its memory is gone, and the driver's data is dropped
    /// next. Also called for a buffer whose creation failed, then without
    /// [`free_start`](Driver::free_start). resv is not held.
    fn free_end(_object: &Object<Self>) {}

    /// Called when a client gets a handle of a buffer. resv is not held.
    ///
    /// # Errors
    ///
    /// Any. Then the client gets none.
    fn handle_added(_object: &Self::Object, _client: &<Self::Drm as drm::Types>::File) -> Result {
        Ok(())
    }

    /// Called when a client gives a handle of a buffer back. resv is not held.
    fn handle_dropped(_object: &Self::Object, _client: &<Self::Drm as drm::Types>::File) {}

    /// Called when a dma-buf is being made of a buffer. resv is not held.
    ///
    /// # Errors
    ///
    /// Any. Then there will be none.
    fn export_added(_object: &Self::Object) -> Result {
        Ok(())
    }

    /// Called when that dma-buf was made. resv is not held.
    fn exported(_object: &Self::Object, _buf: &DmaBuf) {}

    /// Called when a dma-buf of a buffer is gone. resv is not held.
    fn export_dropped(_object: &Self::Object) {}

    /// Whether the content of a buffer may be dropped when memory is short.
    fn may_purge(_object: &Self::Object) -> bool {
        false
    }

    /// Called when the content of a buffer was dropped.
    fn purged(_bo: &Locked<'_, Self>) {}

    /// How many pages of all buffers may be dropped, roughly.
    fn purgeable_pages(_dev: &DrmDevice<Self>) -> u64 {
        0
    }

    /// Called when another reference that keeps a buffer alive is added. resv is not held.
    fn ref_added(_object: &Self::Object, _kind: RefKind) {}

    /// Called when another reference that kept a buffer alive is dropped. resv is not held.
    fn ref_dropped(_object: &Self::Object, _kind: RefKind) {}

    /// Whether the CPU can access all of a buffer where it is now.
    ///
    /// # Errors
    ///
    /// Any, if it cannot and never will. A page fault ends as for
    /// [`make_accessible`](Driver::make_accessible).
    fn is_accessible(_bo: &Locked<'_, Self>) -> Result<bool> {
        Ok(true)
    }

    /// Moves a buffer to where the CPU can access all of it. Called for page faults and `ptrace`.
    /// resv is not held; `mmap_lock` may be. It may wait for room.
    ///
    /// # Errors
    ///
    /// A page fault is tried again after `EBUSY`, `EINTR`, `ENODEV` and `ERESTARTSYS`. After any other
    /// error the process gets `SIGBUS`.
    fn make_accessible(_object: &Object<Self>) -> Result {
        Ok(())
    }

    /// Whether a fence, which is not signalled, is of the device's own work.
    fn is_own(_dev: &DrmDevice<Self>, _fence: &Fence) -> bool {
        false
    }

    /// Whether a fence, which is not signalled, is of work that the device does before all that it is
    /// given from now on. So a move need not wait for it.
    fn is_ordered(_dev: &DrmDevice<Self>, _fence: &Fence) -> bool {
        false
    }

    /// Whether a buffer may be evicted now, or waited for if it is being freed. Called only if that
    /// would make room in the place where it is wanted; [`None`] if a cgroup has to have less.
    fn may_evict(_bo: &Locked<'_, Self>, _place: Option<&Place>) -> bool {
        true
    }

    /// Checks whether a buffer may be mapped by user space. resv is not held.
    ///
    /// # Errors
    ///
    /// Any. `mmap()` fails with it.
    fn may_mmap(_object: &Self::Object) -> Result {
        Ok(())
    }
}
