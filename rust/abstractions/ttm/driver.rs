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
    dma::fence::Fence,
    drm::{
        self,
        Entered, //
    },
    ttm::{
        aperture::Aperture,
        ctx::OperationCtx,
        manager::BaseManager,
        object::Object,
        placement::Place,
        reserved::Locked,
        resource::Resource,
        types::{
            DrmDevice,
            Types, //
        }, //
    }, //
};

/// How a driver moved a buffer, or wants it moved.
pub(crate) enum Move {
    /// There is nothing to copy: the buffer just is there now.
    Null,
    /// The device copies the content until the fence is signalled; all that uses the old place or the
    /// new one, or what lay in the new one before, comes after it on the same timeline, or waits.
    Fenced(ARef<Fence>),
    /// The CPU shall copy the content ([`Aperture`] for memory on the device).
    Copy,
    /// The buffer must go through this place first.
    Hop(Place),
}

/// When a move that succeeded is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// It is.
    Now,
    /// When its fence is signalled.
    Fenced,
}

/// The kinds of references that keep a buffer alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefKind {
    /// A handle of a client.
    Handle,
    /// A mapping by the CPU.
    Mapping,
    /// A dma-buf made of it.
    Export,
}

/// `struct ttm_device_funcs` as a trait. In every method, the buffer's resv is held.
pub(crate) trait Driver: Types<Drm: drm::Types<Object = Object<Self>>> {
    /// What [`ranges`](Driver::ranges) returns.
    type Ranges<'a>: Iterator<Item = Range<u64>> + 'a;

    /// The window onto the first bytes of the memory on the device.
    fn aperture(dev: &DrmDevice<Self>) -> &Aperture;

    /// The ranges of memory on the device that hold a resource, in bytes, in the order of the
    /// buffer's pages.
    ///
    /// Memory the aperture does not reach holds nothing that was ever written, as far as
    /// [`Move::Copy`] is concerned: from there zeroes come, and nothing can be copied there.
    fn ranges<'a>(dev: &'a DrmDevice<Self>, res: &'a Resource) -> Self::Ranges<'a>;

    /// Where to evict a buffer to, most wanted first.
    fn evict_places(bo: &Locked<'_, Self>) -> &'static [Place];

    /// The managers whose buffers' pages may go when the system is short of memory, those that are
    /// missed least first.
    fn shrink_order(dev: &DrmDevice<Self>) -> [&BaseManager; 2];

    /// Addresses of the device's that are bound to the pages of a buffer.
    type Binding: Send + Unpin;

    /// Lets the device reach a buffer's pages, which have these ranges of bus addresses, where `res` says;
    /// [`None`] if `res` has no address for them. Before a move there.
    fn bind(
        entered: &Entered<'_>,
        dev: &DrmDevice<Self>,
        res: &Resource,
        pages: &[Range<u64>],
    ) -> Option<Self::Binding>;

    /// Takes the addresses away from the pages, which are going to be used for something else. Once the
    /// device is unplugged, bindings are dropped instead.
    fn unbind(entered: &Entered<'_>, dev: &DrmDevice<Self>, binding: Self::Binding);

    /// Moves a buffer to `new`.
    ///
    /// # Errors
    ///
    /// Leave the buffer where it is.
    fn move_(bo: &Locked<'_, Self>, new: &Resource, ctx: &mut OperationCtx) -> Result<Move>;

    /// What [`move_start`](Driver::move_start) hands to [`move_end`](Driver::move_end).
    type Moving<'a>;

    /// A buffer is about to be moved to `new`, to make room if `evict`.
    fn move_start<'a>(bo: &Locked<'a, Self>, new: &Resource, evict: bool) -> Self::Moving<'a>;

    /// The move ended so. Not called if the buffer has to hop elsewhere first: that is a move of its
    /// own.
    fn move_end(bo: &Locked<'_, Self>, moving: Self::Moving<'_>, result: &Result<Moved>);

    /// A buffer that nobody can reach any more is about to give its memory back. The fence of what is
    /// to be done with it before, if there is one, keeps it until then.
    fn release(bo: &Locked<'_, Self>) -> Option<ARef<Fence>>;

    /// The last reference on a buffer is gone: it is about to be freed. Called without resv.
    fn free_start(object: &Object<Self>);

    /// A buffer was freed, all but its data. Called without resv; also for one whose creation failed,
    /// then without [`free_start`](Driver::free_start).
    fn free_end(object: &Object<Self>);

    /// A reference of that kind keeps the buffer alive from now on. Called without resv.
    fn ref_added(object: &Self::Object, kind: RefKind);

    /// A reference of that kind is gone. Called without resv.
    fn ref_dropped(object: &Self::Object, kind: RefKind);

    /// Makes a buffer accessible to the CPU where it is not; called in page faults, with `mmap_lock`
    /// held, and for `ptrace`.
    ///
    /// # Errors
    ///
    /// `EBUSY`, `EINTR` and `ERESTARTSYS` let a fault try again, `ENOMEM` means out of memory, all
    /// others `SIGBUS`.
    fn make_accessible(bo: &mut Locked<'_, Self>) -> Result;

    /// Whether a buffer may be mapped by the CPU. Called without resv.
    ///
    /// # Errors
    ///
    /// Go to user space.
    fn may_mmap(object: &Self::Object) -> Result;
}
