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

/// Accesses a mapped buffer on the device for `ptrace()` and `/proc/PID/mem`. Fails with `EAGAIN`
/// if the buffer has to be moved first, which `vm::Operations::access` does.
pub(super) extern "C" fn access_memory_callback<T: Driver>(
    bo: *mut bindings::ttm_buffer_object,
    offset: c_ulong,
    buf: *mut c_void,
    len: c_int,
    write: c_int,
) -> c_int {
    from_result(|| {
        // SAFETY: TTM calls this with a locked buffer of ours.
        let bo = unsafe { Locked::new(Object::<T>::from_ttm(bo).ok_or(EIO)?) };
        let len = usize::try_from(len)?;

        bo.wait(&mut OperationCtx::interruptible())?;
        if !T::is_accessible(&bo)? {
            return Err(EAGAIN);
        }
        bo.kernel_status()?;

        let entered = bo.dev().enter()?;
        let _open = T::aperture(bo.dev()).hold_open();
        let mut backing = backing(&bo, bo.resource().ok_or(EIO)?);
        let mut done = 0;

        backing.skip(offset / PAGE_SIZE);
        while done < len {
            let within = (offset + done) % PAGE_SIZE;
            let bytes = (PAGE_SIZE - within).min(len - done);
            let page = backing.next(entered.parent())?.ok_or(EIO)?;
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

/// `access` of `struct vm_operations_struct`.
///
/// The kernel does not check what the mapping allows. As for other shared mappings, a write needs a
/// mapping that can be written, whoever asks.
pub(super) extern "C" fn access_callback<T: Driver>(
    vma: *mut bindings::vm_area_struct,
    addr: c_ulong,
    buf: *mut c_void,
    len: c_int,
    write: c_int,
) -> c_int {
    // SAFETY: The kernel asks about a mapping with our operations, which has a reference on its
    // buffer, and holds `mmap_lock`.
    let (object, flags) = unsafe {
        (
            &*(*vma).vm_private_data.cast::<Object<T>>(),
            (*vma).__bindgen_anon_2.vm_flags,
        )
    };
    let allowed = if write != 0 {
        bindings::VM_WRITE
    } else {
        bindings::VM_MAYREAD
    };

    from_result(|| {
        if flags & allowed as bindings::vm_flags_t == 0 {
            return Err(EFAULT);
        }
        loop {
            make_ready(object)?;

            // SAFETY: The arguments are as the kernel gave them to us.
            match unsafe { bindings::ttm_bo_vm_access(vma, addr, buf, len, write) } {
                // Somebody moved the buffer meanwhile.
                ret if ret == EAGAIN.to_errno() => (),
                ret => return Ok(ret),
            }
        }
    })
}

/// Waits until the content of a buffer is where the CPU can access it.
///
/// # Errors
///
/// `EIO` if it never will be; `EINTR` on a signal; `ENOMEM`.
fn make_ready<T: Driver>(object: &Object<T>) -> Result {
    let check = |result: Result| {
        result.map_err(|err| match err {
            ERESTARTSYS | EINTR => EINTR,
            ENOMEM => ENOMEM,
            _ => EIO,
        })
    };

    loop {
        check(object.wait_for_moves())?;

        let bo = object.reserve().map_err(|_| EINTR)?;
        check(bo.kernel_status())?;
        if T::is_accessible(&bo).map_err(|_| EIO)? {
            drop(object.dev().enter().map_err(|_| EIO)?);
            return check(bo.populate(&mut OperationCtx::interruptible()));
        }
        drop(bo);
        check(T::make_accessible(object))?;
    }
}
