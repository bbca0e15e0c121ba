// SPDX-License-Identifier: GPL-2.0

//! PCI BARs that hold memory.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use core::{
    ops::Range,
    ptr::from_ref, //
};

use kernel::{
    device::{
        self,
        Bound, //
    },
    devres::Devres,
    error::to_result,
    pci,
    prelude::*,
    sync::Arc, //
};

use crate::bindings::raw as bindings;

/// A PCI BAR, mapped write-combined.
///
/// # Invariants
///
/// `map` is the mapping of BAR `bar`, of `size` bytes, whose region is ours.
struct Mapping {
    pdev: *mut bindings::pci_dev,
    bar: c_int,
    map: *mut c_void,
}

// SAFETY: A mapping belongs to no thread.
unsafe impl Send for Mapping {}

// SAFETY: `&Mapping` gives away nothing but an address.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; devres drops it while the device is still bound.
        unsafe {
            bindings::pci_iounmap(self.pdev, self.map);
            bindings::pci_release_region(self.pdev, self.bar);
        }
    }
}

/// A BAR with memory behind it, mapped write-combined while the device is bound. Its physical address
/// stays known after that.
pub(crate) struct WcBar {
    phys: u64,
    size: u64,
    mapping: Devres<Mapping>,
}

impl WcBar {
    /// Maps BAR number `bar` (`pci_iomap_wc()`).
    ///
    /// # Errors
    ///
    /// `ENODEV` if the device has no such BAR, `EBUSY` if somebody else has it, `ENOMEM`.
    pub(crate) fn new(
        pdev: &pci::Device<Bound>,
        bar: u32,
        name: &'static CStr,
    ) -> Result<Arc<Self>> {
        let phys = pdev.resource_start(bar)?;
        let size = pdev.resource_len(bar)?;
        if size == 0 {
            return Err(ENODEV);
        }

        let raw: *mut bindings::pci_dev = from_ref(pdev).cast_mut().cast();
        let bar = c_int::try_from(bar)?;

        // SAFETY: `pci::Device` is transparent over a valid `struct pci_dev`, and `bar` was checked
        // above.
        to_result(unsafe { bindings::pci_request_region(raw, bar, name.as_char_ptr()) })?;

        // SAFETY: `raw` is a valid device, and its BAR is ours since it was requested.
        let map = unsafe { bindings::pci_iomap_wc(raw, bar, 0) };
        if map.is_null() {
            // SAFETY: Requested above.
            unsafe { bindings::pci_release_region(raw, bar) };
            return Err(ENOMEM);
        }

        // INVARIANT: Requested and mapped above.
        let mapping = Mapping {
            pdev: raw,
            bar,
            map,
        };

        Ok(Arc::new(
            Self {
                phys,
                size,
                mapping: Devres::new(pdev.as_ref(), Ok::<_, Error>(mapping))?,
            },
            GFP_KERNEL,
        )?)
    }

    /// Reads the word at `offset`, a multiple of 8, while `parent` is bound.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `parent` is not the device it was made for, or for words outside.
    pub(crate) fn read(&self, parent: &device::Device<Bound>, offset: u64) -> Result<u64> {
        let address: *const u64 = self.address(parent, offset, 8)?.cast();

        // SAFETY: Mapped, and inside.
        Ok(unsafe { address.read_volatile() })
    }

    /// Writes `words` from `offset` on, a multiple of 8, while `parent` is bound.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub(crate) fn write(
        &self,
        parent: &device::Device<Bound>,
        offset: u64,
        words: &[u64],
    ) -> Result {
        let bytes = size_of_val(words);
        let address = self.address(parent, offset, bytes as u64)?;

        // SAFETY: Mapped, and inside.
        unsafe { bindings::memcpy_toio(address, words.as_ptr().cast(), bytes) };
        Ok(())
    }

    /// As [`write`](Self::write), but from an iterator, as many as there is room for between two offsets.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub(crate) fn write_each(
        &self,
        parent: &device::Device<Bound>,
        offsets: Range<u64>,
        words: impl Iterator<Item = u64>,
    ) -> Result {
        let bytes = offsets.end.checked_sub(offsets.start).ok_or(EINVAL)?;
        let address: *mut u64 = self.address(parent, offsets.start, bytes)?.cast();

        for (index, word) in (0..usize::try_from(bytes)? / size_of::<u64>()).zip(words) {
            // SAFETY: Mapped, and inside.
            unsafe { address.add(index).write_volatile(word) };
        }
        Ok(())
    }

    /// Bytes the CPU can reach.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The CPU's physical address of a byte, for page tables.
    pub(crate) fn phys(&self, offset: u64) -> u64 {
        self.phys + offset
    }

    /// The kernel's address of the `len` bytes at `offset`, valid as long as `parent` is bound.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `parent` is not the device it was made for, or for bytes outside.
    pub(crate) fn address<'a>(
        &'a self,
        parent: &'a device::Device<Bound>,
        offset: u64,
        len: u64,
    ) -> Result<*mut c_void> {
        let mapping = self.mapping.access(parent)?;
        let end = offset.checked_add(len).ok_or(EINVAL)?;

        if end > self.size {
            return Err(EINVAL);
        }
        Ok(mapping.map.wrapping_byte_add(usize::try_from(offset)?))
    }
}
