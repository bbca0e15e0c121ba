// SPDX-License-Identifier: GPL-2.0

//! The rings between driver and card, both in VRAM.

use core::ops::Range;

use kernel::{
    device::{
        Bound,
        Device, //
    },
    io::Io,
    prelude::*, //
};

use crate::{
    hw::*,
    sys::barrier,
    ttm::Aperture, //
};

/// The command ring, as the driver fills it.
pub(super) struct CommandRing {
    /// VRAM offset.
    base: u64,
    /// Bytes, a power of two.
    size: u32,
    /// Byte offset of the next packet.
    wptr: u32,
    /// How far the card has been seen to be.
    rptr: u32,
    /// Up to where the card was told.
    told: u32,
}

impl CommandRing {
    /// An empty ring in these bytes of VRAM.
    ///
    /// # Errors
    ///
    /// `EINVAL` for 4 GiB or more.
    pub(super) fn new(place: &Range<u64>) -> Result<Self> {
        Ok(Self {
            base: place.start,
            size: u32::try_from(place.end - place.start)?,
            wptr: 0,
            rptr: 0,
            told: 0,
        })
    }

    /// Empties the ring, and has the command processor take packets from it. `vram` is the GPU
    /// address of VRAM.
    pub(super) fn start(&mut self, regs: &Registers<'_>, vram: u64) {
        self.wptr = 0;
        self.rptr = 0;
        self.told = 0;
        regs.write_reg(CP_RING_BASE::zeroed().with_page(page(vram + self.base)));
        regs.write_reg(CP_RING_SIZE::from_raw(self.size));
        regs.write_reg(CP_CTRL::zeroed().with_enable(true));
    }

    /// Stops the command processor; tells whether it obeyed.
    pub(super) fn stop(regs: &Registers<'_>) -> bool {
        regs.write_reg(CP_CTRL::zeroed());
        !regs.read(CP_STATUS).busy()
    }

    /// Whether `packets` more have room.
    pub(super) fn has_room(&mut self, regs: &Registers<'_>, packets: u32) -> bool {
        if self.room() < packets {
            self.rptr = regs.read(CP_RING_RPTR).into_raw() & (self.size - 1);
        }
        self.room() >= packets
    }

    fn room(&self) -> u32 {
        let used = self.wptr.wrapping_sub(self.rptr) & (self.size - 1);

        // One less, as a ring that is full must not look empty.
        (self.size - used) / PACKET_SIZE - 1
    }

    /// Puts a packet into the ring, where it must have room.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `parent` is another device.
    pub(super) fn push(
        &mut self,
        aperture: &Aperture,
        parent: &Device<Bound>,
        packet: Packet,
    ) -> Result {
        aperture.write(parent, self.base + u64::from(self.wptr), &packet.encode())?;
        self.wptr = (self.wptr + PACKET_SIZE) & (self.size - 1);
        Ok(())
    }

    /// Tells the card about new packets.
    pub(super) fn tell(&mut self, regs: &Registers<'_>) {
        if self.told != self.wptr {
            barrier::wmb();
            regs.write_reg(CP_RING_WPTR::from_raw(self.wptr));
            self.told = self.wptr;
        }
    }
}

/// The interrupt ring, as the driver empties it.
pub(super) struct InterruptRing {
    base: u64,
    size: u32,
    rptr: u32,
}

impl InterruptRing {
    /// An empty ring in these bytes of VRAM.
    ///
    /// # Errors
    ///
    /// `EINVAL` for 4 GiB or more.
    pub(super) fn new(place: &Range<u64>) -> Result<Self> {
        Ok(Self {
            base: place.start,
            size: u32::try_from(place.end - place.start)?,
            rptr: 0,
        })
    }

    /// Has the card put entries into the ring. `vram` is the GPU address of VRAM.
    pub(super) fn start(&mut self, regs: &Registers<'_>, vram: u64) {
        Self::stop(regs);
        self.rptr = 0;
        regs.write_reg(IH_RING_BASE::zeroed().with_page(page(vram + self.base)));
        regs.write_reg(IH_RING_SIZE::from_raw(self.size));
        regs.write_reg(IH_CTRL::zeroed().with_enable(true).with_msi(true));
    }

    /// Has the card put no more entries into the ring.
    pub(super) fn stop(regs: &Registers<'_>) {
        regs.write_reg(IH_CTRL::zeroed());
    }

    /// Takes entries as long as `f` does, and tells whether these were all; those that the card had no
    /// room for are lost.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `parent` is another device.
    pub(super) fn drain_while(
        &mut self,
        regs: &Registers<'_>,
        aperture: &Aperture,
        parent: &Device<Bound>,
        mut f: impl FnMut(Interrupt) -> bool,
    ) -> Result<bool> {
        let wptr = regs.read(IH_RING_WPTR);
        let end = u32::from(wptr.offset()) & (self.size - INTERRUPT_SIZE);
        if end == self.rptr && !wptr.overflow() {
            return Ok(true);
        }

        while self.rptr != end {
            let at = self.base + u64::from(self.rptr);

            if !f(Interrupt::decode([
                aperture.read(parent, at)?,
                aperture.read(parent, at + 8)?,
            ])) {
                break;
            }
            self.rptr = (self.rptr + INTERRUPT_SIZE) & (self.size - 1);
        }
        regs.write_reg(IH_RING_RPTR::from_raw(self.rptr));
        Ok(self.rptr == end)
    }
}

/// A GPU address as the rings' base registers want it. Rings are in the first 16 TiB.
fn page(address: u64) -> u32 {
    // CAST: GPU addresses have 44 bits.
    (address >> 12) as u32
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/ring.rs"]
mod kunit;
