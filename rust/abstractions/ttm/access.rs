// SPDX-License-Identifier: GPL-2.0

//! `ptrace()` and `/proc/PID/mem` on mapped buffers that are on the device.
//!
//! C header: [`include/drm/ttm/ttm_device.h`](srctree/include/drm/ttm/ttm_device.h)

use kernel::{
    error::from_result,
    page::PAGE_SIZE,
    prelude::*, //
};

use crate::{
    abstractions::ttm::{
        copy::backing,
        ctx::OperationCtx,
        driver::Driver,
        object::Object,
        reserved::Locked, //
    },
    bindings::raw as bindings, //
};

/// Accesses a mapped buffer on the device for `ptrace()` and `/proc/PID/mem`. The caller,
/// `vm::Operations::access`, ensures that the device is plugged in.
pub(super) extern "C" fn access_memory_callback<T: Driver>(
    bo: *mut bindings::ttm_buffer_object,
    offset: c_ulong,
    buf: *mut c_void,
    len: c_int,
    write: c_int,
) -> c_int {
    from_result(|| {
        // SAFETY: TTM calls this with a locked buffer of ours.
        let mut bo = unsafe { Locked::new(Object::<T>::from_ttm(bo).ok_or(EIO)?) };
        let len = usize::try_from(len)?;

        T::make_accessible(&mut bo).map_err(|_| EIO)?;
        bo.wait(&mut OperationCtx::interruptible())?;

        let entered = bo.dev().enter().map_err(|_| EIO)?;
        let _open = T::aperture(bo.dev()).hold_open();
        let mut backing = backing(&bo, bo.resource().ok_or(EIO)?, entered.parent());
        let mut done = 0;

        backing.skip(offset / PAGE_SIZE);
        while done < len {
            let within = (offset + done) % PAGE_SIZE;
            let bytes = (PAGE_SIZE - within).min(len - done);
            let page = backing.next()?.ok_or(EIO)?;
            let there = page.vaddr().wrapping_byte_add(within);
            let here = buf.wrapping_byte_add(done);

            // SAFETY: `bytes` stay inside the mapped page and inside `buf`, which has `len`.
            unsafe {
                match (page.map.is_iomem, write != 0) {
                    (true, true) => bindings::memcpy_toio(there, here, bytes),
                    (true, false) => bindings::memcpy_fromio(here, there, bytes),
                    (false, true) => {
                        core::ptr::copy_nonoverlapping(here.cast::<u8>(), there.cast::<u8>(), bytes)
                    }
                    (false, false) => {
                        core::ptr::copy_nonoverlapping(there.cast::<u8>(), here.cast::<u8>(), bytes)
                    }
                }
            }
            done += bytes;
        }
        Ok(c_int::try_from(len)?)
    })
}
