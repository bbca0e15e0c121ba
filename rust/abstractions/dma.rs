// SPDX-License-Identifier: GPL-2.0

//! DMA: the device's address mask, and fences for its work.

pub(crate) mod attachment;
pub(crate) mod awaited;
pub(crate) mod fence;
pub(crate) mod mapping;
pub(crate) mod resv;

use kernel::{
    device::Core,
    dma::{
        Device as _,
        DmaMask, //
    },
    pci,
    prelude::*, //
};

/// Sets the DMA mask of `pdev` to `bits` bits (`dma_set_mask_and_coherent()`), and lets other drivers
/// map segments of any length for it (`dma_set_max_seg_size()`).
///
/// Call it in probe, before the first DMA mapping.
///
/// # Errors
///
/// `EIO` if the platform cannot give the device addresses within the mask.
pub(crate) fn set_mask(pdev: &pci::Device<Core<'_>>, bits: u32) -> Result {
    let mask = DmaMask::try_new(bits)?;

    // SAFETY: `Core` means that the device is being probed or unbound: nothing is mapped.
    unsafe {
        pdev.dma_set_max_seg_size(u32::MAX);
        pdev.dma_set_mask_and_coherent(mask)
    }
}
