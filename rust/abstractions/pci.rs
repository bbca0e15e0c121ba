// SPDX-License-Identifier: GPL-2.0

//! PCI: BARs that hold memory, and drivers that handle sleep and resets.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

mod driver;

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
    io::{
        Io,
        Mmio,
        MmioRaw,
        Region,
        RelaxedMmio, //
    },
    pci,
    prelude::*,
    sync::Arc, //
};

use crate::bindings::raw as bindings;

pub(crate) use self::driver::{
    Adapter,
    Channel,
    Driver,
    Verdict, //
};

/// A PCI BAR, mapped write-combined.
///
/// # Invariants
///
/// `map` is the mapping of BAR `bar` of `pdev`, and this value owns the mapping and the region.
struct Mapping {
    pdev: *mut bindings::pci_dev,
    bar: c_int,
    map: *mut c_void,
}

// SAFETY: A mapping may be used and unmapped by any thread.
unsafe impl Send for Mapping {}

// SAFETY: `&Mapping` gives access to constant fields only.
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

/// A BAR with memory behind it, mapped write-combined while the device is bound. Its physical
/// address stays known after that.
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

    /// The memory, to be accessed while `parent` is bound. Accesses are ordered as write-combining
    /// allows.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `parent` is not the device it was made for.
    fn io<'a>(&'a self, parent: &'a device::Device<Bound>) -> Result<RelaxedMmio<'a, Region>> {
        let mapping = self.mapping.access(parent)?;
        let raw = MmioRaw::new_region(mapping.map.addr(), usize::try_from(self.size)?)?;

        // SAFETY: By the type invariant of `Mapping` these bytes are mapped, and they stay so while
        // the device is bound.
        Ok(unsafe { Mmio::from_raw(raw) }.relaxed())
    }

    /// Reads the 64-bit word at byte `offset`, a multiple of 8.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `parent` is not the device it was made for, or for words outside.
    pub(crate) fn read(&self, parent: &device::Device<Bound>, offset: u64) -> Result<u64> {
        self.io(parent)?.try_read64(usize::try_from(offset)?)
    }

    /// Writes 64-bit words from byte `offset` on, a multiple of 8.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub(crate) fn write(
        &self,
        parent: &device::Device<Bound>,
        offset: u64,
        words: impl IntoIterator<Item = u64>,
    ) -> Result {
        let io = self.io(parent)?;

        for (at, word) in (usize::try_from(offset)?..)
            .step_by(size_of::<u64>())
            .zip(words)
        {
            io.try_write64(word, at)?;
        }
        Ok(())
    }

    /// Zeroes the bytes of `range` (`memset_io()`).
    ///
    /// # Errors
    ///
    /// As for [`address`](Self::address).
    pub(crate) fn zero(&self, parent: &device::Device<Bound>, range: Range<u64>) -> Result {
        let len = range.end.saturating_sub(range.start);
        let address = self.address(parent, range.start, len)?;

        // SAFETY: These bytes are mapped.
        unsafe { bindings::memset_io(address, 0, usize::try_from(len)?) };
        Ok(())
    }

    /// Bytes of the aperture.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The physical address of a byte offset, for page tables.
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
