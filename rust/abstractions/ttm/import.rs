// SPDX-License-Identifier: GPL-2.0

//! Buffers that have the memory of a dma-buf of another device.
//!
//! Such a buffer stays in system memory, and shares its resv with the dma-buf. Its memory is mapped
//! for DMA when the device first needs it, and unmapped when the exporter moves it.
//!
//! C source: `drivers/gpu/drm/amd/amdgpu/amdgpu_dma_buf.c`

use core::ptr::{
    addr_of_mut,
    NonNull, //
};

use kernel::{
    error::to_result,
    page::PAGE_SIZE,
    prelude::*, //
};

use crate::{
    abstractions::{
        dma::attachment::{
            Attachment,
            DmaBuf, //
        },
        drm::gem::Ref,
        memcg::MemCgroup,
        ttm::{
            ctx::OperationCtx,
            device::BaseDevice,
            driver::Driver,
            importers::Importers,
            object::{
                Object,
                Priority, //
            },
            placement::{
                placement,
                MemType,
                Place, //
            },
            tt::Tt,
            types::DrmDevice, //
        }, //
    },
    bindings::raw as bindings, //
};

impl<T: Driver> Object<T> {
    const ATTACH_OPS: bindings::dma_buf_attach_ops = bindings::dma_buf_attach_ops {
        allow_peer2peer: true,
        invalidate_mappings: Some(Self::invalidate_callback),
    };

    /// Makes a buffer of a dma-buf of another device (`dma_buf_dynamic_attach()`).
    ///
    /// # Errors
    ///
    /// `EINVAL` for a size of 0, or one that is not of whole pages; `ENODEV` once the device is
    /// unplugged; `ENOMEM`; `ERESTARTSYS` on a signal; those of the exporter and of `data`.
    pub(crate) fn import<'a>(
        dev: &'a DrmDevice<T>,
        bdev: &BaseDevice,
        buf: &DmaBuf,
        data: impl PinInit<T::Object, Error>,
    ) -> Result<Ref<'a, Self>> {
        let size = buf.size();
        if size == 0 || size % PAGE_SIZE != 0 {
            return Err(EINVAL);
        }

        // Attaching takes as long as the exporter likes, so an unplug does not wait for it. It maps
        // nothing: that is done inside of a section.
        drop(dev.enter()?);
        // SAFETY: `destroy_callback` drops it, and no buffer outlives its device.
        let mut this = unsafe { bdev.objects.alloc_zeroed::<Self>() }?;
        let raw = this.as_mut_ptr();

        // SAFETY: The fields are uninitialised memory in a box that does not move. Until TTM has
        // initialised the buffer it has no tt, and so `invalidate_callback` leaves it alone.
        unsafe {
            addr_of_mut!((*raw).import).write(Some(Attachment::new(
                dev.base().parent(),
                buf,
                const { &Self::ATTACH_OPS },
                raw.cast(),
            )?));
            addr_of_mut!((*raw).cgroup).write(MemCgroup::current());
            addr_of_mut!((*raw).importers).write(Importers::new());
            if let Err(err) = pin_init::raw_try_init(addr_of_mut!((*raw).data), data) {
                core::ptr::drop_in_place(addr_of_mut!((*raw).cgroup));
                core::ptr::drop_in_place(addr_of_mut!((*raw).import));
                return Err(err);
            }
        }

        // From here on `destroy_callback` frees the box.
        let raw: *mut Self = KBox::into_raw(this).cast();
        let mut ctx = OperationCtx::interruptible();
        let places = [Place::anywhere(MemType::System)];
        let mut placement = placement(&places);

        // SAFETY: The object is zeroed memory in a box, but for the fields above. resv is held while
        // TTM initialises it; on failure TTM calls `destroy_callback`, so that `raw` must not be used
        // any more.
        unsafe {
            let gem = raw.cast::<bindings::drm_gem_object>();

            (*gem).resv = buf.resv();
            bindings::drm_gem_private_object_init(dev.base().as_raw(), gem, size);
            (*gem).funcs = const { &Self::FUNCS };
            (*gem).import_attach = (*raw)
                .import
                .as_ref()
                .map_or(core::ptr::null_mut(), |import| import.as_raw());
            (*raw.cast::<bindings::ttm_buffer_object>()).priority = Priority::Normal as u32;
            bindings::dma_resv_lock(buf.resv(), core::ptr::null_mut());
            let ret = bindings::ttm_bo_init_reserved(
                bdev.as_raw(),
                raw.cast(),
                bindings::ttm_bo_type_ttm_bo_type_sg,
                &mut placement,
                1,
                ctx.as_raw(),
                core::ptr::null_mut(),
                buf.resv(),
                Some(Self::destroy_callback),
            );
            bindings::dma_resv_unlock(buf.resv());
            to_result(ret)?;
        }

        // INVARIANT: TTM has initialised it, and `data` is complete.
        // SAFETY: Not null; the reference TTM counts for us is the GEM object's.
        Ok(unsafe { Ref::from_raw(NonNull::new_unchecked(raw)) })
    }

    /// The exporter moves the memory. It waits for the fences itself, but what is unmapped must not be
    /// in use any more.
    extern "C" fn invalidate_callback(attach: *mut bindings::dma_buf_attachment) {
        // SAFETY: The exporter calls this with an attachment of ours, and with resv held.
        unsafe {
            let object = &*(*attach).importer_priv.cast::<Self>();
            let tt = (*object.as_ttm()).ttm;

            if tt.is_null() {
                return;
            }
            object.wait_idle();
            Tt::<T>::unmap(tt);
        }
    }
}
