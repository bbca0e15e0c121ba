// SPDX-License-Identifier: GPL-2.0

//! The system pages of a buffer (`struct ttm_tt`), their DMA mapping and their device addresses.
//!
//! The pages are cached by the CPU, zeroed for user space, and charged to the memory cgroup of the
//! process that created the buffer; so is the array of pointers to them, which is made when they
//! are. They are mapped for DMA when the device first needs them, and stay mapped until they are freed or backed
//! up. [`super::Shrinker`] backs them up when the system is short of memory.
//!
//! C header: [`include/drm/ttm/ttm_tt.h`](srctree/include/drm/ttm/ttm_tt.h)

use core::{
    cell::UnsafeCell,
    ops::Range,
    ptr::from_ref, //
};

use kernel::{
    error::from_result,
    new_mutex,
    page::PAGE_SHIFT,
    prelude::*,
    sync::Mutex,
    types::Opaque, //
};

use crate::{
    abstractions::{
        dma::{
            attachment::{
                AttachedMapping,
                Attachment, //
            },
            mapping::Mapping, //
        },
        drm::{
            self,
            Entered, //
        },
        memcg::MemCgroup,
        ttm::{
            ctx::OperationCtx,
            device::BaseDevice,
            driver::Driver,
            object::Object,
            pages::{
                self,
                Backup, //
            },
            reserved::Locked,
            resource::Resource,
            types::DrmDevice, //
        }, //
    },
    bindings::raw as bindings, //
};

/// Page flags that exclude the `ttm_tt` from TTM's limit of half of the system's memory, and from its
/// older swap-out, which swaps out a whole buffer at once.
const BACKED_UP_IN_PIECES: u32 =
    bindings::TTM_TT_FLAG_EXTERNAL | bindings::TTM_TT_FLAG_EXTERNAL_MAPPABLE;

/// The DMA mapping of a tt.
enum DmaMapping {
    /// Of its pages.
    Pages(Mapping),
    /// Of the dma-buf whose memory it is.
    Attached(AttachedMapping),
}

impl DmaMapping {
    fn ranges(&self) -> &[Range<u64>] {
        match self {
            Self::Pages(mapping) => mapping.ranges(),
            Self::Attached(mapping) => mapping.ranges(),
        }
    }
}

/// A `struct ttm_tt` with the DMA mapping of its pages and their device addresses.
///
/// # Invariants
///
/// - `tt` is initialised. It is the first field, so that pointers to either are the same.
/// - `dev` and `bdev` are the device of its buffer, and `cgroup` and `import` are those of the
///   buffer. All four live longer than the `ttm_tt`. One with an `import` has no pages.
/// - `bdev` counts it as mapped as long as it has a `mapping`.
#[repr(C)]
#[pin_data]
pub(super) struct Tt<T: Driver> {
    #[pin]
    tt: Opaque<bindings::ttm_tt>,
    dev: *const DrmDevice<T>,
    bdev: *const BaseDevice,
    cgroup: *const MemCgroup,
    /// The dma-buf whose memory it is; null for one that has pages of its own.
    import: *const Attachment,
    /// The DMA mapping of all pages. It is protected as the pages themselves are: by resv, or
    /// because no other code has access to the `ttm_tt`.
    mapping: UnsafeCell<Option<DmaMapping>>,
    /// The backup of pages; protected in the same way. The tt is not populated as long as there is
    /// one.
    backup: UnsafeCell<Option<Backup>>,
    #[pin]
    binding: Mutex<Option<T::Binding>>,
}

impl<T: Driver> Tt<T> {
    pub(super) extern "C" fn create_callback(
        bo: *mut bindings::ttm_buffer_object,
        page_flags: u32,
    ) -> *mut bindings::ttm_tt {
        let init = try_pin_init!(Self {
            tt <- Opaque::try_ffi_init(|tt: *mut bindings::ttm_tt| {
                // SAFETY: `bo` is the live buffer it is for, whose size is constant.
                let num_pages = u32::try_from(unsafe { (*bo).base.size } >> PAGE_SHIFT)?;

                // This is what `ttm_tt_init()` does, without the array of pages: a buffer whose
                // pages nobody has touched costs next to nothing.
                // SAFETY: `tt` is memory for a tt.
                unsafe {
                    tt.write(bindings::ttm_tt {
                        num_pages,
                        page_flags: page_flags | BACKED_UP_IN_PIECES,
                        caching: bindings::ttm_caching_ttm_cached,
                        ..Default::default()
                    });
                }
                Ok::<_, Error>(())
            }),
            // SAFETY: The buffer is on a device of `T`.
            dev: unsafe { DrmDevice::<T>::from_base(drm::Base::from_raw((*bo).base.dev)) },
            // SAFETY: The buffer is on a `BaseDevice`.
            bdev: unsafe { BaseDevice::from_raw((*bo).bdev) },
            // SAFETY: TTM creates a tt for buffers, not for ghosts, and it dies before its buffer:
            // a ghost that takes it over has a reference on the buffer.
            cgroup: unsafe { &raw const (*bo.cast::<Object<T>>()).cgroup },
            // SAFETY: As above.
            import: unsafe {
                match &(*bo.cast::<Object<T>>()).import {
                    Some(import) => from_ref(import),
                    None => core::ptr::null(),
                }
            },
            mapping: UnsafeCell::new(None),
            backup: UnsafeCell::new(None),
            binding <- new_mutex!(None),
        }? Error);

        match KBox::pin_init(init, GFP_KERNEL_ACCOUNT) {
            // SAFETY: It stays where it is until `destroy_callback`.
            Ok(this) => KBox::into_raw(unsafe { Pin::into_inner_unchecked(this) }).cast(),
            Err(_) => core::ptr::null_mut(),
        }
    }

    /// Allocates the pages, or restores them from their backup.
    ///
    /// Whoever made the buffer pays for them. If that cannot be, the one who needs them now does:
    /// a buffer of somebody else's that is evicted must not make others fail.
    pub(super) extern "C" fn populate_callback(
        bdev: *mut bindings::ttm_device,
        tt: *mut bindings::ttm_tt,
        ctx: *mut bindings::ttm_operation_ctx,
    ) -> c_int {
        from_result(|| {
            // SAFETY: TTM calls this with a device of ours, a context of its own and, while it keeps
            // others from it, what `create_callback` made for it, without pages.
            unsafe {
                if !(*tt.cast::<Self>()).import.is_null() {
                    return Ok(0);
                }
                let ctx = OperationCtx::from_raw(ctx);
                let owner = &*(*tt.cast::<Self>()).cgroup;
                let charging = owner.charge();
                let mut result = Self::populate(bdev, tt, ctx);

                if result == Err(ENOMEM) {
                    let current = MemCgroup::current();

                    if current != *owner {
                        let _charging = current.charge();

                        result = Self::populate(bdev, tt, ctx);
                    }
                }
                drop(charging);
                result?;

                BaseDevice::from_raw(bdev).now_populated((*tt).num_pages);
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// As for [`pages::alloc`] and [`pages::restore`].
    unsafe fn populate(
        bdev: *mut bindings::ttm_device,
        tt: *mut bindings::ttm_tt,
        ctx: &OperationCtx,
    ) -> Result {
        // SAFETY: By this function's requirements.
        unsafe {
            let backup = (*tt.cast::<Self>()).backup.get();

            if let Some(there) = &*backup {
                pages::restore(bdev, tt, there, ctx)?;
                *backup = None;
                return Ok(());
            }
            if (*tt).pages.is_null() {
                pages::make_array(tt)?;
            }
            pages::alloc(bdev, tt, ctx)
        }
    }

    pub(super) extern "C" fn unpopulate_callback(
        bdev: *mut bindings::ttm_device,
        tt: *mut bindings::ttm_tt,
    ) {
        // SAFETY: TTM calls this with a device of ours, and with what `populate_callback`
        // populated.
        unsafe {
            Self::unmap(tt);
            if (*tt.cast::<Self>()).import.is_null() {
                pages::free(tt);
                BaseDevice::from_raw(bdev).unpopulated((*tt).num_pages);
            }
        }
    }

    pub(super) extern "C" fn destroy_callback(
        _bdev: *mut bindings::ttm_device,
        tt: *mut bindings::ttm_tt,
    ) {
        // SAFETY: TTM gives back what `create_callback` made, once, unpopulated. If it was backed up,
        // some of its pages may be left.
        unsafe {
            pages::free(tt);
            bindings::ttm_tt_fini(tt);
            drop(KBox::from_raw(tt.cast::<Self>()));
        }
    }

    /// Replaces the binding, and unbinds the old one.
    ///
    /// # Safety
    ///
    /// `tt` must be a valid tt of a buffer of `T`.
    unsafe fn set_binding(tt: *mut bindings::ttm_tt, binding: Option<T::Binding>) {
        // SAFETY: By this function's requirements and the type invariants.
        let (this, dev) = unsafe {
            let this = &*tt.cast::<Self>();

            (this, &*this.dev)
        };
        let old = core::mem::replace(&mut *this.binding.lock(), binding);

        if let (Some(old), Some(entered)) = (old, dev.base().enter()) {
            T::unbind(&entered, dev, old);
        }
    }
}

impl<T: Driver> Tt<T> {
    /// Removes the device addresses and the DMA mapping of the pages, if there are any.
    ///
    /// # Safety
    ///
    /// `tt` must be null, or a valid `ttm_tt` of a buffer of `T`. The caller must have the exclusive
    /// access to it that freeing its pages needs, and the device must not use the pages.
    pub(super) unsafe fn unmap(tt: *mut bindings::ttm_tt) {
        if tt.is_null() {
            return;
        }
        // SAFETY: By this function's requirements the access is exclusive.
        unsafe {
            Self::set_binding(tt, None);
            if let Some(mapping) = (*(*tt.cast::<Self>()).mapping.get()).take() {
                drop(mapping);
                (*(*tt.cast::<Self>()).bdev).now_unmapped();
            }
        }
    }

    /// Copies the pages to a backup, and frees them. Returns how many were freed.
    ///
    /// # Safety
    ///
    /// As for [`unmap`](Self::unmap). `tt` must be populated, not mapped, and not mapped by the CPU.
    pub(super) unsafe fn back_up(tt: *mut bindings::ttm_tt) -> usize {
        // SAFETY: By this function's requirements the access is exclusive, and nobody uses the pages.
        unsafe {
            let this = &*tt.cast::<Self>();
            let Ok(backup) = Backup::new((*tt).num_pages) else {
                return 0;
            };
            let freed = pages::back_up(tt, &backup);

            if freed > 0 {
                *this.backup.get() = Some(backup);
                (*tt).page_flags &= !bindings::TTM_TT_FLAG_PRIV_POPULATED;
                (*this.bdev).unpopulated((*tt).num_pages);
            }
            freed
        }
    }

    /// Has pages that are allocated from now on be zeroed.
    ///
    /// # Safety
    ///
    /// `tt` must be null, or a valid tt whose resv is held.
    pub(super) unsafe fn set_zeroed(tt: *mut bindings::ttm_tt) {
        if !tt.is_null() {
            // SAFETY: By this function's requirements.
            unsafe { (*tt).page_flags |= bindings::TTM_TT_FLAG_ZERO_ALLOC };
        }
    }

    /// Frees the pages, and with them the content. Returns how many were freed.
    ///
    /// # Safety
    ///
    /// As for [`back_up`](Self::back_up).
    pub(super) unsafe fn purge(tt: *mut bindings::ttm_tt) -> usize {
        // SAFETY: By this function's requirements the access is exclusive, and nobody uses the pages.
        unsafe {
            Self::set_zeroed(tt);
            pages::free(tt);
            (*tt).page_flags &= !bindings::TTM_TT_FLAG_PRIV_POPULATED;
            (*(*tt.cast::<Self>()).bdev).unpopulated((*tt).num_pages);
            (*tt).num_pages as usize
        }
    }

    /// Whether pages are backed up.
    ///
    /// # Safety
    ///
    /// `tt` must be a valid tt of a buffer of `T` whose resv is held.
    pub(super) unsafe fn is_backed_up(tt: *mut bindings::ttm_tt) -> bool {
        // SAFETY: By this function's requirements.
        unsafe { (*(*tt.cast::<Self>()).backup.get()).is_some() }
    }

    /// Whether the pages are mapped for DMA.
    ///
    /// # Safety
    ///
    /// As for [`is_backed_up`](Self::is_backed_up), but `tt` may be null.
    unsafe fn is_mapped(tt: *mut bindings::ttm_tt) -> bool {
        // SAFETY: By this function's requirements.
        !tt.is_null() && unsafe { (*(*tt.cast::<Self>()).mapping.get()).is_some() }
    }

    /// The bus addresses of the pages. Maps the pages for DMA if they are not mapped yet.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    ///
    /// # Safety
    ///
    /// `tt` must be a valid, populated tt of a buffer of `T`, whose resv is held during `'a`.
    unsafe fn map<'a>(
        tt: *mut bindings::ttm_tt,
        entered: &'a Entered<'_>,
    ) -> Result<&'a [Range<u64>]> {
        // SAFETY: resv protects the mapping and the pages. The mapping is dropped before the pages
        // are freed, and before the device is unbound, because `DmaMappings` is dropped before
        // that.
        unsafe {
            let mapping = (*tt.cast::<Self>()).mapping.get();

            if (*mapping).is_none() {
                *mapping = Some(match (*tt.cast::<Self>()).import.as_ref() {
                    Some(import) => DmaMapping::Attached(import.map()?),
                    None => {
                        let count = (*tt).num_pages as usize;
                        let pages = core::slice::from_raw_parts((*tt).pages, count);

                        DmaMapping::Pages(Mapping::new(entered.parent(), pages)?)
                    }
                });
                (*(*tt.cast::<Self>()).bdev).now_mapped();
            }
            Ok((*mapping).as_ref().map_or(&[], DmaMapping::ranges))
        }
    }
}

/// The binding for the new resource of a move in progress.
#[must_use = "the pages stay bound"]
pub(super) struct MoveBinding<T: Driver> {
    uses_tt: bool,
    new: Option<T::Binding>,
}

impl<T: Driver> MoveBinding<T> {
    /// Replaces the binding of the buffer, because the move happens. Call it before the old
    /// resource is freed.
    pub(super) fn keep(self, bo: &Locked<'_, T>) {
        if self.uses_tt {
            // SAFETY: resv is held, which protects `ttm`.
            unsafe {
                let tt = (*bo.as_ttm()).ttm;

                if !tt.is_null() {
                    Tt::<T>::set_binding(tt, self.new);
                }
            }
        }
    }

    /// Unbinds it again, because the move does not happen.
    pub(super) fn undo(self, bo: &Locked<'_, T>) {
        let dev = bo.dev();

        if let (Some(new), Some(entered)) = (self.new, dev.base().enter()) {
            T::unbind(&entered, dev, new);
        }
    }
}

impl<T: Driver> Locked<'_, T> {
    /// Binds the buffer's pages to the addresses of `new`, if it has any.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn bind(&self, new: &Resource) -> Result<MoveBinding<T>> {
        let dev = self.dev();
        let mut binding = MoveBinding {
            uses_tt: new.uses_tt(),
            new: None,
        };

        if binding.uses_tt && new.start().is_some() {
            if let Some(entered) = dev.base().enter() {
                if let Some(pages) = self.bus_addresses(&entered)? {
                    binding.new = T::bind(&entered, dev, new, pages);
                }
            }
        }
        Ok(binding)
    }

    /// Whether it is a buffer of another device's that has to be mapped first, and somebody uses it
    /// whose fence is not of the work of such a device. Its exporter may wait for that with resv held,
    /// and so keep everybody from the other device who makes a handle. Wait for the fences before.
    pub(crate) fn waits_to_be_mapped(&self) -> bool {
        // SAFETY: resv is held, which protects `ttm` and its mapping.
        let is_mapped = unsafe { Tt::<T>::is_mapped((*self.as_ttm()).ttm) };

        self.object().is_imported() && !is_mapped && self.is_used_by_others()
    }

    /// The bus addresses of the buffer's pages, as ranges in the order of the pages; [`None`] for a
    /// buffer without pages. Maps the pages for DMA if they are not mapped yet.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn bus_addresses<'a>(
        &'a self,
        plugged_in: &'a Entered<'_>,
    ) -> Result<Option<&'a [Range<u64>]>> {
        // SAFETY: resv is held, which protects `ttm` and, while the device is plugged in, its
        // pages.
        unsafe {
            let tt = (*self.as_ttm()).ttm;

            if tt.is_null() || !bindings::ttm_tt_is_populated(tt) {
                return Ok(None);
            }
            Tt::<T>::map(tt, plugged_in).map(Some)
        }
    }
}
