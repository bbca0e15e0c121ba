// SPDX-License-Identifier: GPL-2.0

//! The command ring and the interrupt ring. Both are in VRAM.

use core::ops::Range;

use kernel::{
    device::{
        Bound,
        Device, //
    },
    io::Io,
    prelude::*,
    sync::barrier::{
        mb,
        Write, //
    }, //
};

use crate::{
    abstractions::pci::WcBar,
    hw::regs::*, //
};

/// The command ring. The driver writes packets to it and the card reads them.
pub(crate) struct CommandRing {
    /// VRAM offset of the ring.
    base: u64,
    /// Bytes of the ring: a power of two.
    size: u32,
    /// Byte offset at which the next packet is written.
    wptr: u32,
    /// The card's read pointer when it was last read, a byte offset.
    rptr: u32,
    /// The write pointer that was last written to the doorbell, a byte offset.
    submitted: u32,
    /// Bytes of all packets since the ring was started.
    pushed: u64,
}

impl CommandRing {
    /// An empty ring at these offsets of VRAM.
    ///
    /// # Errors
    ///
    /// `EINVAL` for 4 GiB or more.
    pub(crate) fn new(place: &Range<u64>) -> Result<Self> {
        Ok(Self {
            base: place.start,
            size: u32::try_from(place.end - place.start)?,
            wptr: 0,
            rptr: 0,
            submitted: 0,
            pushed: 0,
        })
    }

    /// Empties the ring and enables the command processor. `vram` is the GPU address of the start
    /// of VRAM.
    pub(crate) fn start(&mut self, regs: &Registers<'_>, vram: u64) {
        self.wptr = 0;
        self.rptr = 0;
        self.submitted = 0;
        self.pushed = 0;
        regs.write_reg(CP_RING_BASE::zeroed().with_page(page(vram + self.base)));
        regs.write_reg(CP_RING_SIZE::from_raw(self.size));
        regs.write_reg(CP_CTRL::zeroed().with_enable(true));
    }

    /// Disables the command processor. Returns whether it has [stopped](Self::is_stopped).
    pub(crate) fn stop(regs: &Registers<'_>) -> bool {
        regs.write_reg(CP_CTRL::zeroed());
        Self::is_stopped(regs)
    }

    /// Whether the command processor is disabled and its ring empty.
    ///
    /// One that is only idle would go on from its old read pointer when it is started: through
    /// packets that it has executed before, whose memory may be somebody else's by now.
    pub(crate) fn is_stopped(regs: &Registers<'_>) -> bool {
        !regs.read(CP_CTRL).enable()
            && !regs.read(CP_STATUS).busy()
            && regs.read(CP_RING_RPTR).into_raw() == 0
            && regs.read(CP_RING_WPTR).into_raw() == 0
    }

    /// Whether the ring has room for `packets` more packets. A read pointer that is none makes no
    /// room; [`read_rptr`](Self::read_rptr) tells.
    pub(crate) fn has_room(&mut self, regs: &Registers<'_>, packets: u32) -> bool {
        if self.room() < packets {
            self.rptr = self.read_rptr(regs).unwrap_or(self.rptr);
        }
        self.room() >= packets
    }

    /// The card's read pointer, as a byte offset in the ring; [`None`] if what the card says is not
    /// the offset of a packet. A card that fell off the bus says so too: it reads as all ones.
    pub(crate) fn read_rptr(&self, regs: &Registers<'_>) -> Option<u32> {
        self.check_rptr(regs.read(CP_RING_RPTR).into_raw())
    }

    /// Bytes of the packets that the card is done with when its read pointer is `rptr`. A card that
    /// works comes closer to what was pushed; going back is no progress.
    pub(crate) fn consumed(&self, rptr: u32) -> u64 {
        let left = self.wptr.wrapping_sub(rptr) & (self.size - 1);

        self.pushed.saturating_sub(left.into())
    }

    fn check_rptr(&self, rptr: u32) -> Option<u32> {
        (rptr < self.size && rptr % PACKET_SIZE == 0).then_some(rptr)
    }

    fn room(&self) -> u32 {
        let used = self.wptr.wrapping_sub(self.rptr) & (self.size - 1);

        // One packet less than the free bytes hold: equal pointers mean that the ring is empty.
        (self.size - used) / PACKET_SIZE - 1
    }

    /// Writes a packet to the ring, which must have room for it.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `parent` is another device.
    pub(crate) fn push(&mut self, vram: &WcBar, parent: &Device<Bound>, packet: Packet) -> Result {
        vram.write(parent, self.base + u64::from(self.wptr), packet.encode())?;
        self.wptr = (self.wptr + PACKET_SIZE) & (self.size - 1);
        self.pushed += u64::from(PACKET_SIZE);
        Ok(())
    }

    /// Rings the doorbell: writes the write pointer to the card if there are new packets.
    pub(crate) fn ring_doorbell(&mut self, regs: &Registers<'_>) {
        if self.submitted != self.wptr {
            mb(Write);
            regs.write_reg(CP_RING_WPTR::from_raw(self.wptr));
            self.submitted = self.wptr;
        }
    }
}

/// What [`InterruptRing::drain_while`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drained {
    /// There were entries.
    pub(crate) any: bool,
    /// Some of them are still in the ring.
    pub(crate) rest: bool,
    /// Entries were lost since the ring was last drained.
    pub(crate) overflow: bool,
}

/// The interrupt ring. The card writes entries to it and the driver reads them.
pub(crate) struct InterruptRing {
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
    pub(crate) fn new(place: &Range<u64>) -> Result<Self> {
        Ok(Self {
            base: place.start,
            size: u32::try_from(place.end - place.start)?,
            rptr: 0,
        })
    }

    /// Empties the ring and enables interrupts. `vram` is the GPU address of the start of VRAM.
    pub(crate) fn start(&mut self, regs: &Registers<'_>, vram: u64) {
        Self::stop(regs);
        self.rptr = 0;
        regs.write_reg(IH_RING_BASE::zeroed().with_page(page(vram + self.base)));
        regs.write_reg(IH_RING_SIZE::from_raw(self.size));
        regs.write_reg(IH_CTRL::zeroed().with_enable(true).with_msi(true));
    }

    /// Disables interrupts. The card writes no more entries.
    pub(crate) fn stop(regs: &Registers<'_>) {
        regs.write_reg(IH_CTRL::zeroed());
    }

    /// Calls `f` for each entry, until it returns `false`; that entry stays in the ring. Returns
    /// what the ring held. Entries that found no room in the ring are lost.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `parent` is another device.
    pub(crate) fn drain_while(
        &mut self,
        regs: &Registers<'_>,
        vram: &WcBar,
        parent: &Device<Bound>,
        mut f: impl FnMut(Interrupt) -> bool,
    ) -> Result<Drained> {
        let wptr = regs.read(IH_RING_WPTR);
        let end = u32::from(wptr.offset()) & (self.size - INTERRUPT_SIZE);
        let start = self.rptr;
        if end == start && !wptr.overflow() {
            return Ok(Drained::default());
        }

        while self.rptr != end {
            let at = self.base + u64::from(self.rptr);

            if !f(Interrupt::decode([
                vram.read(parent, at)?,
                vram.read(parent, at + 8)?,
            ])) {
                break;
            }
            self.rptr = (self.rptr + INTERRUPT_SIZE) & (self.size - 1);
        }
        regs.write_reg(IH_RING_RPTR::from_raw(self.rptr));
        Ok(Drained {
            any: end != start,
            rest: end != self.rptr,
            overflow: wptr.overflow(),
        })
    }
}

/// The value of a ring's base register for a GPU address: the number of its 4 KiB page.
fn page(address: u64) -> u32 {
    // CAST: GPU addresses have 44 bits, so the page number has 32.
    (address >> 12) as u32
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/hw/ring.rs"]
mod kunit;
