// SPDX-License-Identifier: GPL-2.0

//! The end of a card's memory: no content of a client's is left in VRAM for whoever gets the card
//! next, another driver or a virtual machine.

use core::ops::Range;

use kernel::{
    device::{
        Bound,
        Device, //
    },
    prelude::*,
    sync::aref::ARef,
    time::Msecs, //
};

use crate::{
    abstractions::pci::WcBar,
    bo::vram_addresses,
    copy_engine::Running,
    device::PddgpuDevice, //
};

/// ms that the engine has to zero what is left in VRAM. That is what was in use to the end, and what was
/// freed just before.
const ENGINE_TIME: Msecs = 500;

/// A guard that zeroes VRAM when it is dropped, and then stops the engine.
///
/// Drop it after the device was unplugged, when nobody can write to VRAM any more.
pub(super) struct Wipe<'bound> {
    dev: &'bound Device<Bound>,
    ddev: ARef<PddgpuDevice>,
    engine: Option<Running<'bound>>,
}

impl<'bound> Wipe<'bound> {
    /// A guard for a card with this engine.
    pub(super) fn new(
        dev: &'bound Device<Bound>,
        ddev: ARef<PddgpuDevice>,
        engine: Option<Running<'bound>>,
    ) -> Self {
        Self { dev, ddev, engine }
    }

    /// Zeroes what clients may have left in VRAM. Returns how many bytes may still hold something.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    fn wipe(&self) -> Result<u64> {
        let pdev = &self.ddev;
        let used = pdev.vram.used_ranges()?;

        if used.is_empty() {
            return Ok(0);
        }
        if let Some(engine) = &self.engine {
            let ranges = vram_addresses(pdev, used.iter().cloned())?;

            if engine.wipe(ranges, ENGINE_TIME).is_ok() {
                return Ok(0);
            }
        }
        used.iter()
            .map(|range| zero_visible(pdev.aperture.bar(), self.dev, range))
            .sum()
    }
}

/// Zeroes the part of a range that is inside the aperture. Returns how many bytes are not.
fn zero_visible(bar: &WcBar, dev: &Device<Bound>, range: &Range<u64>) -> Result<u64> {
    let end = range.end.min(bar.size());

    if range.start < end {
        bar.zero(dev, range.start..end)?;
    }
    Ok(range.end - range.start.max(end))
}

impl Drop for Wipe<'_> {
    fn drop(&mut self) {
        match self.wipe() {
            Ok(0) => (),
            Ok(bytes) => dev_warn!(
                self.dev,
                "{} bytes of VRAM that the CPU cannot reach may keep their content\n",
                bytes
            ),
            Err(err) => dev_warn!(self.dev, "VRAM keeps its content: {:?}\n", err),
        }
    }
}
