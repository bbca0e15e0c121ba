// SPDX-License-Identifier: GPL-2.0

//! What the device can reach of the bus, and what it has still to do there.

pub(crate) mod fence;
pub(crate) mod mapping;

use kernel::{
    device::Core,
    dma::{
        Device as _,
        DmaMask, //
    },
    pci,
    prelude::*, //
};

/// Tells the kernel that `pdev` has bus addresses of `bits` bits (`dma_set_mask_and_coherent()`).
///
/// Call it in probe, before anything is mapped.
///
/// # Errors
///
/// `EIO` if the platform cannot do with that.
pub(crate) fn set_mask(pdev: &pci::Device<Core<'_>>, bits: u32) -> Result {
    let mask = DmaMask::try_new(bits)?;

    // SAFETY: `Core` means that the device is being probed or unbound: nothing is mapped.
    unsafe { pdev.dma_set_mask_and_coherent(mask) }
}
