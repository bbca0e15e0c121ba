// SPDX-License-Identifier: GPL-2.0

//! `ptrace()` and `/proc/PID/mem` on mapped buffers.
//!
//! `ttm_bo_vm_access()` does the same, but accesses system pages without waiting for the move that
//! fills them.
//!
//! C source: `drivers/gpu/drm/ttm/ttm_bo_vm.c`

use core::ops::Range;

use kernel::{
    error::from_result,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*, //
};

use crate::{
    abstractions::ttm::{
        copy::backing,
        ctx::OperationCtx,
        driver::Driver,
        object::Object,
        reserved::{
            Locked,
            Reserved, //
        }, //
    },
    bindings::raw as bindings, //
};

/// A part of a buffer, and memory of the kernel.
struct Access {
    /// Bytes into the buffer.
    offset: usize,
    len: usize,
    /// `len` bytes.
    buf: *mut c_void,
    /// Whether the buffer is written.
    write: bool,
}

impl Access {
    /// Copies between the two. The content of the buffer has to be where the CPU can access it.
    ///
    /// # Errors
    ///
    /// `ENODEV` once the device is unplugged; `EIO` for a page that the CPU cannot access.
    fn copy<T: Driver>(&self, bo: &Locked<'_, T>) -> Result {
        let entered = bo.dev().enter()?;
        let _open = T::aperture(bo.dev()).hold_open();
        let res = bo.resource().ok_or(EIO)?;
        let mut backing = backing(bo, res, self.offset / PAGE_SIZE);
        let mut done = 0;

        while done < self.len {
            let within = (self.offset + done) % PAGE_SIZE;
            let bytes = (PAGE_SIZE - within).min(self.len - done);
            let page = backing.next(entered.parent())?.ok_or(EIO)?;
            let there = page.vaddr().wrapping_byte_add(within);
            let here = self.buf.wrapping_byte_add(done);

            // SAFETY: `bytes` stay inside the mapped page and inside `buf`, which has `len`.
            unsafe {
                match (page.map.is_iomem, self.write) {
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
        Ok(())
    }
}

impl<T: Driver> Object<T> {
    /// Reads or writes bytes of the buffer from `offset` on, where the CPU can access them.
    ///
    /// # Errors
    ///
    /// `EFAULT` for a buffer without memory; `EINTR` for a process that is killed; those of moves to
    /// where the CPU can access it; `ENODEV` once the device is unplugged.
    fn access(&self, offset: u64, buf: &mut [u8], write: bool) -> Result {
        OperationCtx::interruptible().check_killed()?;
        if let Some(import) = &self.import {
            self.wait_for_all()?;
            return import.access(usize::try_from(offset)?, buf, write);
        }
        Access {
            offset: usize::try_from(offset)?,
            len: buf.len(),
            buf: buf.as_mut_ptr().cast(),
            write,
        }
        .copy(&*ready(self)?)
    }

    /// Copies bytes with the CPU to those of `to` from `offset` on.
    ///
    /// # Errors
    ///
    /// Those of [`access`](Self::access); `ENOMEM`.
    pub(crate) fn copy_bytes(&self, from: Range<u64>, to: &Self, offset: u64) -> Result {
        let mut page = KVec::from_elem(0, PAGE_SIZE, GFP_KERNEL)?;

        self.wait_for_usage(bindings::dma_resv_usage_DMA_RESV_USAGE_WRITE)?;
        to.wait_for_usage(bindings::dma_resv_usage_DMA_RESV_USAGE_READ)?;
        for done in (0..from.end - from.start).step_by(PAGE_SIZE) {
            let at = from.start + done;
            let bytes = (from.end - at).min(PAGE_SIZE as u64) as usize;

            self.access(at, &mut page[..bytes], false)?;
            to.access(offset + done, &mut page[..bytes], true)?;
        }
        Ok(())
    }

    /// Repeats a value over bytes with the CPU.
    ///
    /// # Errors
    ///
    /// Those of [`copy_bytes`](Self::copy_bytes).
    pub(crate) fn fill_bytes(&self, to: Range<u64>, value: u32) -> Result {
        let mut page = KVec::from_elem(0, PAGE_SIZE, GFP_KERNEL)?;

        for word in page.chunks_exact_mut(size_of::<u32>()) {
            word.copy_from_slice(&value.to_le_bytes());
        }
        self.wait_for_usage(bindings::dma_resv_usage_DMA_RESV_USAGE_READ)?;
        for at in to.clone().step_by(PAGE_SIZE) {
            let bytes = (to.end - at).min(PAGE_SIZE as u64) as usize;

            self.access(at, &mut page[..bytes], true)?;
        }
        Ok(())
    }
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
    let (object, flags, start, pgoff) = unsafe {
        (
            &*(*vma).vm_private_data.cast::<Object<T>>(),
            (*vma).__bindgen_anon_2.vm_flags,
            (*vma).__bindgen_anon_1.__bindgen_anon_1.vm_start,
            (*vma).vm_pgoff,
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

        // Where the mapping begins in the buffer, and `addr` in the mapping.
        let skipped = ((pgoff as u64) << PAGE_SHIFT)
            .checked_sub(object.mmap_offset())
            .ok_or(EIO)?;
        let offset = addr
            .checked_sub(start)
            .and_then(|offset| offset.checked_add(usize::try_from(skipped).ok()?))
            .ok_or(EIO)?;
        let access = Access {
            offset,
            len: usize::try_from(len)?,
            buf,
            write: write != 0,
        };
        let end = access.offset.checked_add(access.len).ok_or(EIO)?;
        if access.len == 0 || end as u64 > object.size() {
            return Err(EIO);
        }

        let bo = ready(object).map_err(|err| match err {
            ERESTARTSYS | EINTR => EINTR,
            ENOMEM => ENOMEM,
            _ => EIO,
        })?;
        access.copy(&bo).map_err(|_| EIO)?;
        Ok(len)
    })
}

/// Locks a buffer when its content is where the CPU can access it, and has it moved there if need
/// be.
///
/// # Errors
///
/// Those of [`Driver::is_accessible`] and [`Driver::make_accessible`]; those that a move or a clear
/// has ended with; `ENOMEM`; `ERESTARTSYS` on a signal.
fn ready<T: Driver>(object: &Object<T>) -> Result<Reserved<'_, T>> {
    loop {
        object.wait_for_moves()?;

        let bo = object.reserve()?;
        if !bo.has_arrived() {
            continue;
        }
        bo.kernel_status()?;
        if T::is_accessible(&bo)? {
            bo.populate(&mut OperationCtx::interruptible())?;
            return Ok(bo);
        }
        drop(bo);
        T::make_accessible(object)?;
    }
}
