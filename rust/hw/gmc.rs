// SPDX-License-Identifier: GPL-2.0

//! The graphics memory controller: the card's address space, and enabling and disabling it.
//!
//! `docs/hardware.md`, "GPU address space", describes it.

use core::ops::Range;

use kernel::{
    device::{
        Bound,
        Device, //
    },
    io::Io,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    sizes::*,
    sync::Arc, //
};

use crate::{
    hw::regs::*,
    uapi, //
};

/// Most bytes of VRAM that a card may have.
const MAX_VRAM_SIZE: u64 = 8 * u64::SZ_1G;
/// Most bytes of GTT address space that a card may have.
const MAX_GTT_SIZE: u64 = 4 * u64::SZ_1G;
/// The end of the card's address space.
const ADDRESS_SPACE: u64 = 1 << 44;

/// Pages one transfer window maps.
pub(crate) const GTT_MAX_TRANSFER_SIZE: u64 = 512;
/// Transfer windows at the start of the GTT window.
pub(crate) const GTT_NUM_TRANSFER_WINDOWS: u64 = 2;
/// Pages of the transfer windows.
pub(crate) const RESERVED_PAGES: u64 = GTT_MAX_TRANSFER_SIZE * GTT_NUM_TRANSFER_WINDOWS;

/// Bytes of the GTT window that are reserved for the transfer windows.
pub(crate) const RESERVED_SIZE: u64 = RESERVED_PAGES << PAGE_SHIFT;

/// The description of a card that its registers give, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gmc {
    /// Which chip it is.
    pub(crate) chip: Chip,
    /// The value of [`CHIP_REV`](struct@CHIP_REV).
    pub(crate) revision: u32,
    /// `DRM_PDDGPU_FEATURE_*`.
    pub(crate) features: u32,
    /// GPU addresses of VRAM, in bytes.
    pub(crate) vram: Range<u64>,
    /// Bytes of VRAM, from its start, that the CPU can reach.
    pub(crate) visible_size: u64,
    /// GPU addresses of the GTT window, in bytes.
    pub(crate) gtt: Range<u64>,
}

impl Gmc {
    /// Reads the registers and checks them. `aperture_size` is the size of the aperture, in bytes.
    ///
    /// # Errors
    ///
    /// `ENODEV` for an unknown chip, a size out of range, or windows that overlap or do not match
    /// their size. The log says which.
    pub(crate) fn read(dev: &Device, regs: &Registers<'_>, aperture_size: u64) -> Result<Self> {
        let id = regs.read(CHIP_ID);
        let chip = Chip::try_from(id)
            .inspect_err(|_| dev_err!(dev, "unknown chip {:#x}\n", id.into_raw()))?;
        let vram_size = regs.try_read(VRAM_SIZE)?.into_raw();
        let gtt_size = regs.try_read(GTT_SIZE)?.into_raw();

        check_size(dev, "VRAM", vram_size, 1, MAX_VRAM_SIZE)?;
        check_size(dev, "GTT", gtt_size, RESERVED_SIZE + 1, MAX_GTT_SIZE)?;
        if vram_size < aperture_size {
            dev_err!(
                dev,
                "VRAM of {:#x} bytes is smaller than its aperture of {:#x}\n",
                vram_size,
                aperture_size
            );
            return Err(ENODEV);
        }

        let this = Self {
            chip,
            revision: regs.read(CHIP_REV).into_raw(),
            features: regs.read(FEATURES).into_raw(),
            vram: window(
                dev,
                "VRAM",
                regs.try_read(VRAM_START)?.into_raw()..regs.try_read(VRAM_END)?.into_raw(),
                vram_size,
            )?,
            visible_size: aperture_size,
            gtt: window(
                dev,
                "GTT",
                regs.try_read(GTT_START)?.into_raw()..regs.try_read(GTT_END)?.into_raw(),
                gtt_size,
            )?,
        };

        if this.vram.start < this.gtt.end && this.gtt.start < this.vram.end {
            dev_err!(
                dev,
                "VRAM window {:#x?} overlaps GTT window {:#x?}\n",
                this.vram,
                this.gtt
            );
            return Err(ENODEV);
        }
        Ok(this)
    }

    /// Bytes of VRAM.
    pub(crate) fn vram_size(&self) -> u64 {
        self.vram.end - self.vram.start
    }

    /// Bytes of GTT address space.
    pub(crate) fn gtt_size(&self) -> u64 {
        self.gtt.end - self.gtt.start
    }

    /// Whether the card has a feature, `DRM_PDDGPU_FEATURE_*`.
    pub(crate) fn has(&self, feature: u32) -> bool {
        self.features & feature != 0
    }

    /// The VRAM that the driver reserves for the GART and the copy engine.
    ///
    /// Returns [`None`] for a card without these engines. It also does so if they would take more
    /// than half of the aperture; then the CPU copies and clears.
    pub(crate) fn reserved_vram(&self) -> Option<ReservedVram> {
        const NEEDED: [u32; 3] = [
            uapi::DRM_PDDGPU_FEATURE_GART,
            uapi::DRM_PDDGPU_FEATURE_COPY,
            uapi::DRM_PDDGPU_FEATURE_FILL,
        ];
        let reserved_vram = ReservedVram::new(self.gtt_size());

        (NEEDED.iter().all(|feature| self.has(*feature))
            && reserved_vram.size() <= self.visible_size / 2)
            .then_some(reserved_vram)
    }
}

fn check_size(dev: &Device, what: &str, size: u64, min: u64, max: u64) -> Result {
    if !(min..=max).contains(&size) || size % PAGE_SIZE as u64 != 0 {
        dev_err!(
            dev,
            "{} size {:#x} is not a number of pages between {:#x} and {:#x} bytes\n",
            what,
            size,
            min,
            max
        );
        return Err(ENODEV);
    }
    Ok(())
}

/// Checks a window of `size` bytes. `bounds` are its first and last address as the registers have
/// them, so that `bounds.end` is inside the window.
fn window(dev: &Device, what: &str, bounds: Range<u64>, size: u64) -> Result<Range<u64>> {
    let Range { start, end: last } = bounds;

    if start % PAGE_SIZE as u64 != 0
        || last >= ADDRESS_SPACE
        || start > last
        || last - start + 1 != size
    {
        dev_err!(
            dev,
            "{} window {:#x} to {:#x} does not hold {:#x} bytes\n",
            what,
            start,
            last,
            size
        );
        return Err(ENODEV);
    }
    Ok(start..last + 1)
}

/// Resets the card, then enables VRAM, the GTT window and the aperture.
pub(crate) fn reset(regs: &Registers<'_>, gmc: &Gmc) {
    regs.write_reg(RESET::from_raw(RESET_MAGIC));
    regs.write_reg(
        MC_VRAM_CTRL::zeroed()
            .with_enable(true)
            .with_ecc(gmc.has(uapi::DRM_PDDGPU_FEATURE_ECC)),
    );
    regs.write_reg(MC_GTT_CTRL::zeroed().with_enable(true));
    regs.write_reg(MC_FB_CTRL::zeroed().with_enable(true));
    // By the time a register read returns, all writes before it have taken effect.
    let _ = regs.read(CHIP_ID);
}

/// Disables the aperture, the GTT window and VRAM.
pub(crate) fn disable(regs: &Registers<'_>) {
    regs.write_reg(MC_FB_CTRL::zeroed());
    regs.write_reg(MC_GTT_CTRL::zeroed());
    regs.write_reg(MC_VRAM_CTRL::zeroed());
}

/// Whether VRAM has lost its content since this was last asked.
pub(crate) fn vram_lost(regs: &Registers<'_>) -> bool {
    let is_lost = regs.read(MC_STATUS).lost();

    if is_lost {
        regs.write_reg(MC_STATUS::zeroed().with_lost(true));
    }
    is_lost
}

/// Whether the card is as [`reset`] has left it. It is not after a reset of the function.
pub(crate) fn is_enabled(regs: &Registers<'_>) -> bool {
    regs.read(MC_VRAM_CTRL).enable()
        && regs.read(MC_GTT_CTRL).enable()
        && regs.read(MC_FB_CTRL).enable()
}

/// Takes VRAM and the GTT window away from the card's engines. The CPU still reaches VRAM through the
/// aperture. For an engine that cannot be stopped.
pub(crate) fn isolate(regs: &Registers<'_>) {
    regs.write_reg(MC_GTT_CTRL::zeroed());
    regs.write_reg(MC_VRAM_CTRL::zeroed());
    // By the time a register read returns, all writes before it have taken effect.
    let _ = regs.read(CHIP_ID);
}

/// The enabled memory controller. Dropping it disables VRAM, the GTT window and the aperture.
pub(crate) struct Enabled<'a> {
    regs: Arc<BoundRegisters>,
    dev: &'a Device<Bound>,
}

impl<'a> Enabled<'a> {
    /// [Resets](reset) the card.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the registers are not those of `dev`.
    pub(crate) fn new(
        dev: &'a Device<Bound>,
        regs: Arc<BoundRegisters>,
        gmc: &Gmc,
    ) -> Result<Self> {
        let access = regs.access(dev)?;

        reset(access, gmc);
        // Nothing of it was ours.
        vram_lost(access);
        Ok(Self { regs, dev })
    }
}

impl Drop for Enabled<'_> {
    fn drop(&mut self) {
        if let Ok(regs) = self.regs.access(self.dev) {
            disable(regs);
        }
    }
}

/// The layout of the VRAM that is reserved for the driver: adjacent byte ranges from the start of
/// VRAM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReservedVram {
    /// The GART table: one entry for each page of the GTT window.
    pub(crate) gart: Range<u64>,
    /// The command ring.
    pub(crate) commands: Range<u64>,
    /// The interrupt ring.
    pub(crate) interrupts: Range<u64>,
    /// A page. The card writes the sequence number of each FENCE packet that it reaches to its
    /// start.
    pub(crate) fence: Range<u64>,
}

/// Bytes of the command ring.
const COMMANDS_SIZE: u64 = u64::SZ_64K;
/// Bytes of the interrupt ring.
const INTERRUPTS_SIZE: u64 = u64::SZ_16K;

impl ReservedVram {
    fn new(gtt_size: u64) -> Self {
        let page = PAGE_SIZE as u64;
        let after = |start, size: u64| start..start + size.next_multiple_of(page);
        let gart = after(0, gtt_size / page * size_of::<u64>() as u64);
        let commands = after(gart.end, COMMANDS_SIZE);
        let interrupts = after(commands.end, INTERRUPTS_SIZE);
        let fence = after(interrupts.end, page);

        Self {
            gart,
            commands,
            interrupts,
            fence,
        }
    }

    /// Bytes of all ranges together.
    pub(crate) fn size(&self) -> u64 {
        self.fence.end
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/hw/gmc.rs"]
mod kunit;
