// SPDX-License-Identifier: GPL-2.0

//! User-space mappings of buffers: `mmap`, page faults and access by debuggers.

use core::marker::PhantomData;

use kernel::{
    error::from_result,
    prelude::*,
    sync::aref::ARef, //
};

use crate::{
    abstractions::{
        drm,
        ttm::{
            device::BaseDevice,
            driver::{
                Driver,
                RefKind, //
            },
            object::Object,
            reserved::Locked, //
        }, //
    },
    bindings::raw as bindings, //
};

/// Most pages that a fault maps.
const NUM_PREFAULT: c_ulong = 16;

pub(super) extern "C" fn mmap_callback<T: Driver>(
    gem: *mut bindings::drm_gem_object,
    vma: *mut bindings::vm_area_struct,
) -> c_int {
    from_result(|| {
        // SAFETY: DRM calls this with an object of ours, on which it took a reference.
        let object = unsafe { &*gem.cast::<Object<T>>() };

        T::may_mmap(object)?;

        // SAFETY: `vma` is being set up by us alone. TTM takes a reference for the mapping.
        kernel::error::to_result(unsafe { bindings::ttm_bo_mmap_obj(vma, object.as_ttm()) })?;

        T::ref_added(object, RefKind::Mapping);

        // SAFETY: DRM meant its reference for the mapping, which has TTM's.
        unsafe { bindings::drm_gem_object_put(gem) };
        Ok(0)
    })
}

/// `struct vm_operations_struct` for mappings of buffers.
pub(super) struct Operations<T: Driver>(PhantomData<T>);

impl<T: Driver> Operations<T> {
    pub(super) const OPS: bindings::vm_operations_struct = bindings::vm_operations_struct {
        fault: Some(Self::fault),
        access: Some(Self::access),
        open: Some(Self::open),
        close: Some(Self::close),
        ..pin_init::zeroed()
    };

    extern "C" fn fault(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
        // SAFETY: The mapping holds a reference on its buffer, which `mmap_callback` put there.
        let (bo, prot, flags) = unsafe {
            let vma = (*vmf).__bindgen_anon_1.vma;

            (
                (*vma).vm_private_data.cast::<bindings::ttm_buffer_object>(),
                (*vma).vm_page_prot,
                (*vmf).flags,
            )
        };

        // SAFETY: The kernel handles the fault `vmf` on a mapping of the buffer, which the mapping
        // holds.
        let ret = unsafe { bindings::ttm_bo_vm_reserve(bo, vmf) };
        if ret != 0 {
            return ret;
        }

        // SAFETY: Mappings are of buffers of ours, never of ghosts.
        let object = unsafe { &*bo.cast::<Object<T>>() };
        let ret = match object.dev().base().enter() {
            Some(_entered) => {
                // SAFETY: Reserved above, until the end of this function.
                let mut locked = unsafe { Locked::new(object) };

                match T::make_accessible(&mut locked) {
                    // SAFETY: The buffer is reserved.
                    Ok(()) => match unsafe { Self::wait_for_move(vmf, object) } {
                        0 => {
                            // A fence may be signalled only after the aperture was shut for a
                            // reset. So waiting for a fence while holding it open could deadlock.
                            // All fences are signalled by now.
                            let _open = T::aperture(object.dev()).hold_open();

                            // SAFETY: The buffer is reserved and the device plugged in.
                            unsafe { bindings::ttm_bo_vm_fault_reserved(vmf, prot, NUM_PREFAULT) }
                        }
                        ret => ret,
                    },
                    // SAFETY: The buffer is reserved.
                    Err(ENOSPC) => unsafe { Self::wait_for_space(vmf, object) },
                    Err(err) => fault_code(err),
                }
            }
            // SAFETY: The buffer is reserved.
            None => unsafe { bindings::ttm_bo_vm_dummy_page(vmf, prot) },
        };

        // If the fault waited, TTM has released resv already.
        if ret == bindings::vm_fault_reason_VM_FAULT_RETRY
            && flags & bindings::fault_flag_FAULT_FLAG_RETRY_NOWAIT == 0
        {
            return ret;
        }

        // SAFETY: Reserved above.
        unsafe { bindings::dma_resv_unlock((*bo).base.resv) };
        ret
    }

    /// Waits until moves of the buffer have ended, so that `ttm_bo_vm_fault_reserved()` does not
    /// have to wait. Returns 0, or the result of the fault.
    ///
    /// # Safety
    ///
    /// `vmf` must be that of a fault on `object`, which must be reserved.
    unsafe fn wait_for_move(
        vmf: *mut bindings::vm_fault,
        object: &Object<T>,
    ) -> bindings::vm_fault_t {
        const KERNEL: bindings::dma_resv_usage = bindings::dma_resv_usage_DMA_RESV_USAGE_KERNEL;
        const FOREVER: c_ulong = c_ulong::MAX >> 1;

        // SAFETY: The buffer is alive, and with it its resv.
        let resv = unsafe { (*object.as_ttm()).base.resv };
        // SAFETY: The resv is initialised as long as the buffer lives; a signal ends the wait.
        let wait = || unsafe { bindings::dma_resv_wait_timeout(resv, KERNEL, true, FOREVER) };

        // SAFETY: The resv is initialised as long as the buffer lives.
        if unsafe { bindings::dma_resv_test_signaled(resv, KERNEL) } {
            return 0;
        }
        // SAFETY: By this function's requirements.
        if let Some(ret) = unsafe { Self::without_mmap_lock(vmf, object, || _ = wait()) } {
            return ret;
        }
        match wait() {
            left if left < 0 => bindings::vm_fault_reason_VM_FAULT_NOPAGE,
            _ => 0,
        }
    }

    /// For a fault that failed with `ENOSPC`: the first time it waits for delayed deletes and has
    /// the fault retried, the second time the fault fails. Returns the result of the fault.
    ///
    /// # Safety
    ///
    /// `vmf` must be that of a fault on `object`, which must be reserved.
    unsafe fn wait_for_space(
        vmf: *mut bindings::vm_fault,
        object: &Object<T>,
    ) -> bindings::vm_fault_t {
        // SAFETY: By this function's requirements; the buffer is on a `BaseDevice`.
        unsafe {
            let bdev = BaseDevice::from_raw((*object.as_ttm()).bdev);

            Self::without_mmap_lock(vmf, object, || bdev.wait_for_delayed_deletes())
        }
        .unwrap_or(fault_code(ENOSPC))
    }

    /// Releases resv and `mmap_lock`, calls `f`, which may take long, and returns `VM_FAULT_RETRY`.
    ///
    /// Returns [`None`] and does nothing if the fault must not be retried or was retried before.
    ///
    /// # Safety
    ///
    /// `vmf` must be that of a fault on `object`, which must be reserved.
    unsafe fn without_mmap_lock(
        vmf: *mut bindings::vm_fault,
        object: &Object<T>,
        f: impl FnOnce(),
    ) -> Option<bindings::vm_fault_t> {
        const ALLOW_RETRY: u32 = bindings::fault_flag_FAULT_FLAG_ALLOW_RETRY;
        const TRIED: u32 = bindings::fault_flag_FAULT_FLAG_TRIED;

        // SAFETY: By this function's requirements. Without `mmap_lock` the mapping may be removed,
        // and its references with it. So buffer and device get references of their own.
        unsafe {
            let flags = (*vmf).flags;

            if flags & (ALLOW_RETRY | TRIED) != ALLOW_RETRY {
                return None;
            }
            if flags & bindings::fault_flag_FAULT_FLAG_RETRY_NOWAIT == 0 {
                let dev: ARef<drm::Base> = object.dev().base().into();
                let object: ARef<Object<T>> = object.into();

                bindings::mmap_read_unlock((*(*vmf).__bindgen_anon_1.vma).vm_mm);
                bindings::dma_resv_unlock((*object.as_ttm()).base.resv);
                f();
                drop(object);
                drop(dev);
            }
        }
        Some(bindings::vm_fault_reason_VM_FAULT_RETRY)
    }

    extern "C" fn open(vma: *mut bindings::vm_area_struct) {
        // SAFETY: The mapping, a copy of another, is of a buffer of ours that is alive.
        unsafe {
            T::ref_added(Self::object(vma), RefKind::Mapping);
            bindings::ttm_bo_vm_open(vma);
        }
    }

    extern "C" fn close(vma: *mut bindings::vm_area_struct) {
        // SAFETY: The mapping still has its reference on the buffer, which TTM gives back.
        unsafe {
            T::ref_dropped(Self::object(vma), RefKind::Mapping);
            bindings::ttm_bo_vm_close(vma);
        }
    }

    /// # Safety
    ///
    /// `vma` must be a mapping with these operations that lasts for `'a`.
    unsafe fn object<'a>(vma: *mut bindings::vm_area_struct) -> &'a Object<T> {
        // SAFETY: `mmap_callback` put the buffer there, with a reference.
        unsafe { &*(*vma).vm_private_data.cast() }
    }

    extern "C" fn access(
        vma: *mut bindings::vm_area_struct,
        addr: c_ulong,
        buf: *mut c_void,
        len: c_int,
        write: c_int,
    ) -> c_int {
        // SAFETY: The kernel asks about a mapping with these operations.
        let object = unsafe { Self::object(vma) };

        let Some(_entered) = object.dev().base().enter() else {
            return EIO.to_errno();
        };

        // `ttm_bo_vm_access()` does not wait for moves of buffers in system memory.
        match object.wait(c_ulong::MAX >> 1) {
            // SAFETY: The arguments are as the kernel gave them to us.
            Ok(()) => unsafe { bindings::ttm_bo_vm_access(vma, addr, buf, len, write) },
            Err(_) => EINTR.to_errno(),
        }
    }
}

fn fault_code(err: Error) -> bindings::vm_fault_t {
    match err {
        EBUSY | EINTR | ERESTARTSYS => bindings::vm_fault_reason_VM_FAULT_NOPAGE,
        ENOMEM => bindings::vm_fault_reason_VM_FAULT_OOM,
        _ => bindings::vm_fault_reason_VM_FAULT_SIGBUS,
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../../tests/kunit/abstractions/ttm/vm.rs"]
mod kunit;
