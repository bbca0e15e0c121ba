// SPDX-License-Identifier: GPL-2.0

//! The interrupt ring, and what the card tells through it.

use crate::engine::memory_controller::Fault;
use crate::engine::parts::Parts;
use crate::memory::transfer::Access;
use crate::regs::table::{
    ECC_ADDR, ECC_PENDING, ECC_STATUS, FEATURE_ECC, FEATURE_GART, IH_CTRL, IH_MSI, IH_OVERFLOW,
    IH_RING_BASE, IH_RING_RPTR, IH_RING_SIZE, IH_RING_WPTR, MC_VRAM_CTRL, VRAM_ECC,
};

/// Bytes of an entry.
const ENTRY_LEN: u64 = 16;

/// What an entry tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A fence, with its value.
    Fence = 1,
    /// An error of the command processor, with its read pointer.
    CommandError = 2,
    /// A fault, with its GPU address.
    GartFault = 3,
    /// An ECC error, with its offset into VRAM.
    Ecc = 4,
}

/// Whether a ring may have a size.
pub fn is_ring_size(size: u64) -> bool {
    size.is_power_of_two() && (4 << 10..=1 << 20).contains(&size)
}

impl Parts<'_> {
    /// What follows from a write to IH_CTRL.
    pub fn control_interrupts(&mut self, was_enabled: bool) {
        if was_enabled && !self.registers.is_enabled(IH_CTRL) {
            self.registers.set(IH_RING_WPTR, 0);
            self.registers.set(IH_RING_RPTR, 0);
        }
    }

    /// Posts an entry, and raises the MSI if it is wanted.
    pub fn post(&mut self, access: &Access<'_>, source: Source, data: u64) {
        let vram = self.memory.vram.len();
        let entry = (source as u32, data);
        let (source, data) = self.hostile.entry(entry, vram, &mut self.counters.lies);
        self.post_entry(access, source, data);
    }

    /// Has a hostile card post entries and raise interrupts for no reason.
    pub fn disturb(&mut self) {
        let vram = self.memory.vram.len();
        let invented = self.hostile.invented(vram, &mut self.counters.lies);
        if !invented.is_empty() {
            let memory = self.memory;
            let access = memory.access();
            for (source, data) in invented {
                self.post_entry(&access, source, data);
            }
        }
        for _ in 0..self.hostile.raised(&mut self.counters.lies) {
            if self.bus_master {
                self.interrupt();
            }
        }
    }

    fn post_entry(&mut self, access: &Access<'_>, source: u32, data: u64) {
        if !self.registers.is_enabled(IH_CTRL) {
            return;
        }
        let size = self.registers.get(IH_RING_SIZE);
        if !is_ring_size(size) {
            self.counters.ih_lost += 1;
            return;
        }
        let offset = |pointer: u64| pointer & (size - 1) & !(ENTRY_LEN - 1);
        let wptr = self.registers.get(IH_RING_WPTR);
        let overflow = wptr & IH_OVERFLOW;
        let next = offset(wptr + ENTRY_LEN);
        if next == offset(self.registers.get(IH_RING_RPTR)) {
            self.registers.set(IH_RING_WPTR, wptr | IH_OVERFLOW);
            self.counters.ih_overflows += 1;
            return;
        }

        let address = (self.registers.get(IH_RING_BASE) << 12) + offset(wptr);
        let place = match self.resolve_whole(access, address, ENTRY_LEN, true) {
            Ok(place) => place,
            Err(fault) => {
                // There is no telling of this fault but by the registers.
                self.note_fault(fault);
                self.counters.ih_lost += 1;
                return;
            }
        };
        let mut entry = [0; ENTRY_LEN as usize];
        entry[..4].copy_from_slice(&source.to_le_bytes());
        entry[8..].copy_from_slice(&data.to_le_bytes());
        access.write(place, &entry);
        self.registers.set(IH_RING_WPTR, next | overflow);
        self.counters.ih_entries += 1;
        if self.registers.get(IH_CTRL) & IH_MSI != 0 {
            self.raise_msi();
        }
    }

    /// Raises the interrupt. Returns whether it was delivered.
    pub fn interrupt(&mut self) -> bool {
        let delivered = self.msi.trigger();
        if delivered {
            self.counters.irqs += 1;
        } else {
            self.counters.irqs_lost += 1;
        }
        delivered
    }

    /// Raises the MSI as an engine does, by a write to the bus.
    fn raise_msi(&mut self) {
        let withheld = self.hostile.withholds(&mut self.counters.lies);
        if withheld || self.injections.loses_interrupt() || !self.bus_master {
            self.counters.irqs_lost += 1;
        } else {
            self.interrupt();
        }
    }

    /// Tells of a fault.
    pub fn report_fault(&mut self, access: &Access<'_>, fault: Fault) {
        self.note_fault(fault);
        if self.registers.has(FEATURE_GART) {
            self.post(access, Source::GartFault, fault.address);
        }
    }

    /// Reports an ECC error at an offset into VRAM. Returns whether it was reported, which takes a
    /// card that has ECC and has it on.
    pub fn report_ecc(&mut self, offset: u64) -> bool {
        let on = self.registers.get(MC_VRAM_CTRL) & VRAM_ECC != 0;
        if !on || !self.registers.has(FEATURE_ECC) {
            return false;
        }
        self.registers.set(ECC_ADDR, offset);
        self.registers.set(ECC_STATUS, ECC_PENDING);
        self.counters.ecc_errors += 1;
        let memory = self.memory;
        self.post(&memory.access(), Source::Ecc, offset);
        true
    }
}
