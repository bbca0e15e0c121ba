// SPDX-License-Identifier: GPL-2.0

//! Page faults on mappings of buffers.
//!
//! Whatever a fault has to wait for, a lock, room, a copy or memory, it waits for before it holds
//! the aperture open and the device plugged in, and if possible without `mmap_lock`.
//!
//! C source: `drivers/gpu/drm/ttm/ttm_bo_vm.c`

use kernel::{
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*, //
};

use crate::{
    abstractions::{
        drm::gem::Ref,
        ttm::{
            ctx::OperationCtx,
            driver::Driver,
            object::Object,
            reserved::Reserved, //
        }, //
    },
    bindings::raw as bindings, //
};

/// Most pages that a fault maps.
const NUM_PREFAULT: c_ulong = 16;
/// Times that a fault waits before it lets the process try again. Others may always be faster.
const TURNS: u32 = 4;

/// Why a page cannot be mapped yet.
enum Blocked {
    /// Somebody else holds resv.
    Locked,
    /// The buffer is where the CPU cannot access it.
    Inaccessible,
    /// The buffer is being moved or cleared.
    Moving,
}

/// A page fault on a mapping of a buffer.
///
/// # Invariants
///
/// `vmf` is the fault, which the kernel is having handled, and `object` the buffer of its mapping.
struct Fault<'a, T: Driver> {
    vmf: *mut bindings::vm_fault,
    object: &'a Object<T>,
}

pub(super) extern "C" fn fault_callback<T: Driver>(
    vmf: *mut bindings::vm_fault,
) -> bindings::vm_fault_t {
    // SAFETY: The kernel calls this for a fault on a mapping with our operations. The mapping has a
    // reference on its buffer, which `mmap_callback` put there.
    let object = unsafe { &*(*(*vmf).__bindgen_anon_1.vma).vm_private_data.cast() };
    // INVARIANT: It is the buffer of the mapping.
    let fault = Fault::<T> { vmf, object };

    for _ in 0..TURNS {
        let ret = match fault.try_map() {
            Ok(ret) => Some(ret),
            Err(blocked) => fault.wait(blocked),
        };
        if let Some(ret) = ret {
            return ret;
        }
    }
    bindings::vm_fault_reason_VM_FAULT_NOPAGE
}

impl<T: Driver> Fault<'_, T> {
    fn vma(&self) -> *mut bindings::vm_area_struct {
        // SAFETY: By the type invariant.
        unsafe { (*self.vmf).__bindgen_anon_1.vma }
    }

    fn prot(&self) -> bindings::pgprot_t {
        // SAFETY: By the type invariant; `mmap_lock` keeps the mapping as it is.
        unsafe { (*self.vma()).vm_page_prot }
    }

    /// Maps the page, and some after it. Returns the result of the fault.
    fn try_map(&self) -> Result<bindings::vm_fault_t, Blocked> {
        let base = self.object.dev().base();
        let bo = self.object.try_reserve().ok_or(Blocked::Locked)?;

        if base.enter().is_none() {
            return Ok(self.map_dummy());
        }
        match T::is_accessible(&bo) {
            Ok(true) => (),
            Ok(false) => return Err(Blocked::Inaccessible),
            Err(err) => return Ok(fault_code(err)),
        }
        if !bo.has_arrived() {
            return Err(Blocked::Moving);
        }
        // A copy or a clear that failed may have left another client's data in this memory.
        if let Err(err) = bo.kernel_status() {
            return Ok(fault_code(err));
        }
        if let Err(err) = bo.populate(&mut OperationCtx::interruptible()) {
            return Ok(fault_code(err));
        }
        self.make_page_tables();

        Ok(match base.enter() {
            Some(_entered) => self.map(bo),
            None => self.map_dummy(),
        })
    }

    /// Maps pages of the buffer, which is in place.
    fn map(&self, bo: Reserved<'_, T>) -> bindings::vm_fault_t {
        let _open = T::aperture(self.object.dev()).hold_open();

        // SAFETY: The buffer is reserved and the device plugged in.
        let ret =
            unsafe { bindings::ttm_bo_vm_fault_reserved(self.vmf, self.prot(), NUM_PREFAULT) };

        // TTM releases resv where it waits. That it does only for fences, and there are none left.
        if ret == bindings::vm_fault_reason_VM_FAULT_RETRY && !self.has(NOWAIT) {
            core::mem::forget(bo);
        }
        ret
    }

    /// Maps a page that belongs to nobody, as the device is gone.
    fn map_dummy(&self) -> bindings::vm_fault_t {
        // SAFETY: By the type invariant.
        unsafe { bindings::ttm_bo_vm_dummy_page(self.vmf, self.prot()) }
    }

    /// Allocates the page tables for the pages that are going to be mapped, so that this need not be
    /// done while the aperture is held open.
    fn make_page_tables(&self) {
        extern "C" fn nothing(
            _pte: *mut bindings::pte_t,
            _addr: c_ulong,
            _data: *mut c_void,
        ) -> c_int {
            0
        }

        // If memory is too short for that, mapping will say so.
        // SAFETY: `mmap_lock` keeps the mapping, and the range is a part of it.
        unsafe {
            let vma = self.vma();
            let start = (*self.vmf).__bindgen_anon_1.address & !(PAGE_SIZE - 1);
            let end = (start + (NUM_PREFAULT << PAGE_SHIFT))
                .min((*vma).__bindgen_anon_1.__bindgen_anon_1.vm_end);

            bindings::apply_to_page_range(
                (*vma).vm_mm,
                start,
                end - start,
                Some(nothing),
                core::ptr::null_mut(),
            );
        }
    }

    fn has(&self, flag: u32) -> bool {
        // SAFETY: By the type invariant.
        unsafe { (*self.vmf).flags & flag != 0 }
    }

    /// Waits for what blocks the fault. Returns the result of the fault, or [`None`] if it can go
    /// on at once.
    ///
    /// The first time it releases `mmap_lock` meanwhile, and has the fault tried again.
    fn wait(&self, blocked: Blocked) -> Option<bindings::vm_fault_t> {
        let wait = |object: &Object<T>| match blocked {
            Blocked::Locked => object.reserve().map(drop),
            Blocked::Inaccessible => T::make_accessible(object),
            Blocked::Moving => object.wait_for_moves(),
        };

        if !self.has(ALLOW_RETRY) || self.has(TRIED) {
            return wait(self.object).err().map(fault_code);
        }
        if !self.has(NOWAIT) {
            // Without `mmap_lock` the mapping may be removed, and its references with it. So the
            // buffer gets a reference, and so does the file, which keeps the device and the module.
            // SAFETY: The mapping keeps both, and `mmap_lock`, which the kernel holds for the fault,
            // keeps the mapping. The file is given back last.
            unsafe {
                let file = bindings::get_file((*self.vma()).vm_file);
                let object: Ref<'_, Object<T>> = Ref::get(self.object);

                bindings::mmap_read_unlock((*self.vma()).vm_mm);
                // What went wrong will go wrong again when the fault is tried again, and is reported
                // then.
                let _ = wait(&object);
                drop(object);
                bindings::fput(file);
            }
        }
        Some(bindings::vm_fault_reason_VM_FAULT_RETRY)
    }
}

const ALLOW_RETRY: u32 = bindings::fault_flag_FAULT_FLAG_ALLOW_RETRY;
const TRIED: u32 = bindings::fault_flag_FAULT_FLAG_TRIED;
const NOWAIT: u32 = bindings::fault_flag_FAULT_FLAG_RETRY_NOWAIT;

/// The result of a fault that failed. `VM_FAULT_OOM` is none: the kernel would try again for ever.
/// Who asks for memory that is not there is refused, as in an ioctl.
fn fault_code(err: Error) -> bindings::vm_fault_t {
    match err {
        EBUSY | EINTR | ENODEV | ERESTARTSYS => bindings::vm_fault_reason_VM_FAULT_NOPAGE,
        _ => bindings::vm_fault_reason_VM_FAULT_SIGBUS,
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../../tests/kunit/abstractions/ttm/fault.rs"]
mod kunit;
