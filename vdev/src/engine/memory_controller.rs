// SPDX-License-Identifier: GPL-2.0

//! The memory controller: what a GPU address leads to.

use crate::address_space::PAGE_SIZE;
use crate::engine::parts::Parts;
use crate::memory::gart::{Entry, ENTRY_LEN, LINE};
use crate::memory::transfer::{Access, Place};
use crate::regs::table::{
    FEATURE_GART, GART_FAULT_ADDR, GART_FAULT_OUTSIDE, GART_FAULT_STATUS, GART_FAULT_VALID,
    GART_FAULT_WRITE, GART_TABLE_BASE, MC_GTT_CTRL, MC_VRAM_CTRL,
};

/// An access that led nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// GPU address of its first byte that did.
    pub address: u64,
    /// Whether it was to write.
    pub write: bool,
    /// Whether the address is in no window that is enabled.
    pub outside: bool,
}

/// What a GPU address lies in, and the offset into it.
enum Window {
    Vram(u64),
    Gtt(u64),
}

impl Parts<'_> {
    /// The enabled window in which `address` lies, and how many bytes are left of it from there.
    fn window(&self, address: u64) -> Option<(Window, u64)> {
        let card = self.registers.own();
        let vram = card.vram_start..=card.vram_end();
        let gtt = card.gtt_start..=card.gtt_end();
        if self.registers.is_enabled(MC_VRAM_CTRL) && vram.contains(&address) {
            let offset = address - vram.start();
            // An odd card's window may be longer than its memory.
            let left = (vram.end() - address).saturating_add(1);
            let there = self.memory.vram.len().checked_sub(offset)?;
            (there > 0).then_some((Window::Vram(offset), left.min(there)))
        } else if self.registers.has(FEATURE_GART)
            && self.registers.is_enabled(MC_GTT_CTRL)
            && gtt.contains(&address)
        {
            let left = (gtt.end() - address).saturating_add(1);
            Some((Window::Gtt(address - gtt.start()), left))
        } else {
            None
        }
    }

    /// Finds out whether a range lies within one window, whatever the GART has for its pages.
    pub fn check_window(&self, address: u64, len: u64, write: bool) -> Result<(), Fault> {
        let left = self.window(address).map_or(0, |(_, left)| left);
        if len <= left {
            return Ok(());
        }
        Err(Fault {
            address: address.wrapping_add(left),
            write,
            outside: true,
        })
    }

    /// Where the bytes from `address` on are, and how many of `len` are in one run there.
    pub fn resolve(
        &mut self,
        access: &Access<'_>,
        address: u64,
        len: u64,
        write: bool,
    ) -> Result<(Place, u64), Fault> {
        let fault = |outside| Fault {
            address,
            write,
            outside,
        };
        let (window, left) = self.window(address).ok_or(fault(true))?;
        let len = len.min(left);
        let offset = match window {
            Window::Vram(offset) => return Ok((Place::Vram(offset), len)),
            Window::Gtt(offset) => offset,
        };

        let (mut page, within) = (offset / PAGE_SIZE, offset % PAGE_SIZE);
        let first = self.entry(access, page).page(write).ok_or(fault(false))?;
        let mut run = PAGE_SIZE - within;
        while run < len {
            page += 1;
            if self.entry(access, page).page(write) != Some(first + within + run) {
                break;
            }
            run += PAGE_SIZE;
        }
        let place = Place::Bus(first + within);
        let run = run.min(len);
        let reach = if self.bus_master {
            access.reach(place, run, write)
        } else {
            0
        };
        if reach == 0 {
            return Err(fault(false));
        }
        Ok((place, reach))
    }

    /// Where the few bytes at `address` are, which lie in one page.
    pub fn resolve_whole(
        &mut self,
        access: &Access<'_>,
        address: u64,
        len: u64,
        write: bool,
    ) -> Result<Place, Fault> {
        match self.resolve(access, address, len, write)? {
            (place, run) if run == len => Ok(place),
            // The guest's memory ends in the middle of a page.
            (_, run) => Err(Fault {
                address: address + run,
                write,
                outside: false,
            }),
        }
    }

    /// The GART's entry for a page of the GTT, from the cache if it is there.
    fn entry(&mut self, access: &Access<'_>, page: u64) -> Entry {
        if let Some(entry) = self.gart.get(page) {
            self.counters.gart_hits += 1;
            return entry;
        }
        self.counters.gart_misses += 1;
        let first = page - page % LINE as u64;
        let base = self.registers.get(GART_TABLE_BASE);
        // The table is in VRAM, which the GART reaches as the other engines do.
        let table = base.saturating_add(first.saturating_mul(ENTRY_LEN));
        let mut line = [0; LINE];
        if self.registers.is_enabled(MC_VRAM_CTRL) {
            let bytes: [u8; LINE * ENTRY_LEN as usize] = access.read(Place::Vram(table));
            for (entry, bytes) in line.iter_mut().zip(bytes.chunks_exact(8)) {
                *entry = bytes.try_into().map_or(0, u64::from_le_bytes);
            }
        }
        self.gart.keep(first, line);
        self.gart.get(page).unwrap_or(Entry(0))
    }

    /// Notes a fault in the registers, unless they still tell of an earlier one.
    pub fn note_fault(&mut self, fault: Fault) {
        self.counters.gart_faults += 1;
        let noted = self.registers.get(GART_FAULT_STATUS) & GART_FAULT_VALID != 0;
        if !noted && self.registers.has(FEATURE_GART) {
            let mut status = GART_FAULT_VALID;
            if fault.write {
                status |= GART_FAULT_WRITE;
            }
            if fault.outside {
                status |= GART_FAULT_OUTSIDE;
            }
            self.registers.set(GART_FAULT_STATUS, status);
            self.registers.set(GART_FAULT_ADDR, fault.address);
        }
    }
}
