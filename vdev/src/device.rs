// SPDX-License-Identifier: GPL-2.0

//! The card as a whole: what an access to each of its regions does, and how its parts act on each
//! other. It takes any access without complaint, as hardware does.
//!
//! The command processor moves bytes while the card is not locked; see [`Device::step`].

use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::counters::Counters;
use crate::engine::command_processor::{CommandProcessor, Step};
use crate::engine::hostile::Hostile;
use crate::engine::injections::Injections;
use crate::engine::parts::Parts;
use crate::memory::gart::Gart;
use crate::memory::transfer::{Access, Memory};
use crate::memory::vram::Vram;
use crate::options::{Card, Chip};
use crate::pci::config::{self, PciConfig};
use crate::pci::msi::Msi;
use crate::regs::register_file::{Effect, RegisterFile};
use crate::regs::table::{
    ECC_STATUS, GART_FAULT_STATUS, IH_RING_RPTR, MC_STATUS, REGISTERS, VRAM_LOST,
};

/// The parts of the function that a client can read and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// BAR0
    Registers,
    /// BAR2
    Aperture,
    /// Configuration space
    Config,
}

/// A card.
pub struct Device {
    chip: Chip,
    registers_len: u64,
    /// The registers.
    pub registers: RegisterFile,
    memory: Memory,
    gart: Gart,
    command: CommandProcessor,
    /// Signalled when the command processor may have something to do.
    work: Arc<Condvar>,
    /// What a test wants to go wrong.
    pub injections: Injections,
    /// Whether somebody has pulled the card out: nothing answers.
    is_gone: bool,
    /// Whether and how the card lies.
    pub hostile: Hostile,
    /// Configuration space.
    pub config: PciConfig,
    /// The interrupt.
    pub msi: Msi,
    /// What has happened.
    pub counters: Counters,
}

impl Device {
    /// Builds a card and powers it on.
    pub fn new(card: &Card) -> io::Result<Self> {
        Ok(Device {
            chip: card.chip,
            registers_len: card.registers_len,
            registers: RegisterFile::new(card.identity.clone()),
            memory: Memory::new(Vram::new(card.vram_len, card.aperture_len)?),
            gart: Gart::new(card.identity.gtt_size),
            command: CommandProcessor::default(),
            work: Arc::default(),
            injections: Injections::default(),
            is_gone: false,
            hostile: Hostile::new(card.hostile),
            config: PciConfig::new(card),
            msi: Msi::default(),
            counters: Counters::default(),
        })
    }

    /// The chip the card was made as.
    pub fn chip(&self) -> Chip {
        self.chip
    }

    /// The card's memory, which can be used without the card's lock.
    pub fn vram(&self) -> &Arc<Vram> {
        &self.memory.vram
    }

    /// The card's memory and the guest's.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Signalled when [`Device::step`] may have something to do.
    pub fn work(&self) -> &Arc<Condvar> {
        &self.work
    }

    /// Bytes of a region; zero if the card does not have it.
    pub fn region_len(&self, region: Region) -> u64 {
        match region {
            Region::Registers => self.registers_len,
            Region::Aperture => self.memory.vram.aperture_len(),
            Region::Config => config::LEN,
        }
    }

    /// Reads from a region.
    pub fn read(&mut self, region: Region, offset: u64, data: &mut [u8]) {
        if self.is_gone {
            data.fill(0xff);
            return;
        }
        match region {
            Region::Registers => {
                self.counters.register_reads += 1;
                self.read_registers(offset, data);
            }
            Region::Aperture => {
                self.counters.aperture_reads += 1;
                self.memory.vram.read_aperture(offset, data);
            }
            Region::Config => {
                self.counters.config_reads += 1;
                self.config.read(offset, data);
            }
        }
    }

    /// Writes to a region.
    pub fn write(&mut self, region: Region, offset: u64, data: &[u8]) {
        if self.is_gone {
            return;
        }
        match region {
            Region::Registers => {
                self.counters.register_writes += 1;
                self.write_registers(offset, data);
                if !is_acknowledgement(offset) {
                    self.parts().1.disturb();
                }
            }
            Region::Aperture => {
                self.counters.aperture_writes += 1;
                if let Err(error) = self.memory.vram.write_aperture(offset, data) {
                    eprintln!("pddgpu-vdev: a write to BAR2 is lost: {error}");
                }
            }
            Region::Config => {
                self.counters.config_writes += 1;
                if self.config.write(offset, data) {
                    self.reset_function();
                }
            }
        }
    }

    /// Whether BAR0 takes an access; counts those it does not.
    fn takes(&mut self, offset: u64, len: usize) -> bool {
        let len = len as u64;
        let good = matches!(len, 4 | 8)
            && offset % len == 0
            && offset
                .checked_add(len)
                .is_some_and(|end| end <= self.registers_len);
        if !good {
            self.counters.bad_accesses += 1;
        }
        good
    }

    fn read_registers(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        if !self.takes(offset, data.len()) {
            return;
        }
        for (at, half) in (offset..).step_by(4).zip(data.chunks_exact_mut(4)) {
            match self.registers.read(at) {
                Ok(value) => {
                    let value = self.hostile.register(at, value, &mut self.counters.lies);
                    half.copy_from_slice(&value.to_le_bytes());
                }
                Err(_) => self.counters.unlisted_reads += 1,
            }
        }
    }

    fn write_registers(&mut self, offset: u64, data: &[u8]) {
        if !self.takes(offset, data.len()) {
            return;
        }
        for (at, half) in (offset..).step_by(4).zip(data.chunks_exact(4)) {
            let value = u32::from_le_bytes([half[0], half[1], half[2], half[3]]);
            match self.registers.write(at, value) {
                Ok(Some(effect)) => self.apply(effect),
                Ok(None) => (),
                Err(_) => self.counters.unlisted_writes += 1,
            }
        }
    }

    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Aperture(open) => self.set_aperture(open),
            Effect::Reset if self.hostile.ignores_reset(&mut self.counters.lies) => (),
            Effect::Reset => {
                self.counters.register_resets += 1;
                self.reset();
            }
            Effect::GartFlush => {
                self.counters.gart_flushes += 1;
                self.gart.flush();
            }
            Effect::CommandControl { was_enabled } => {
                let (command, mut parts) = self.parts();
                command.control(&mut parts, was_enabled);
                self.work.notify_all();
            }
            Effect::CommandRing => {
                let (command, mut parts) = self.parts();
                command.update_busy(&mut parts);
                self.work.notify_all();
            }
            Effect::InterruptControl { was_enabled } => {
                self.parts().1.control_interrupts(was_enabled);
            }
        }
    }

    fn set_aperture(&mut self, open: bool) {
        match self.memory.vram.set_open(open) {
            Ok(changed) => self.counters.aperture_toggles += u64::from(changed),
            Err(error) => eprintln!("pddgpu-vdev: the aperture did not open or close: {error}"),
        }
    }

    /// Resets every register and engine; the content of the VRAM stays.
    fn reset(&mut self) {
        // An engine that is in the middle of something must not go on after the reset.
        self.memory.quiesce();
        self.registers.reset();
        self.gart.flush();
        self.command.reset();
        self.set_aperture(false);
    }

    /// A function level reset.
    pub fn reset_function(&mut self) {
        self.counters.function_resets += 1;
        self.reset();
    }

    /// A reset of the bus, or power that was gone: also the VRAM loses its content. So does a machine
    /// that boots, or wakes up.
    pub fn reset_bus(&mut self) {
        self.counters.bus_resets += 1;
        self.reset();
        if let Err(error) = self.memory.vram.scramble() {
            eprintln!("pddgpu-vdev: the VRAM did not lose its content: {error}");
        }
        self.registers.set(MC_STATUS, VRAM_LOST);
    }

    /// Pulls the card out of its slot, or plugs it in again. While it is out it reads as ones, and starts
    /// no access of its own. It has lost its power, and comes up as a new one would.
    pub fn set_gone(&mut self, gone: bool) {
        self.reset_bus();
        self.config.power_on();
        self.is_gone = gone;
    }

    /// Maps guest memory for the card; see [`crate::memory::dma::DmaSpace::map`].
    pub fn dma_map(
        &mut self,
        address: u64,
        len: u64,
        writable: bool,
        file: Option<(File, u64)>,
    ) -> io::Result<()> {
        self.memory.dma_mut().map(address, len, writable, file)?;
        self.counters.dma_maps += 1;
        Ok(())
    }

    /// Unmaps guest memory: what lies within a range, or everything.
    pub fn dma_unmap(&mut self, range: Option<(u64, u64)>) {
        self.counters.dma_unmaps += 1;
        match range {
            Some((address, len)) => {
                self.memory.dma_mut().unmap(address, len);
            }
            None => self.memory.dma_mut().clear(),
        }
    }

    /// The command processor, and the parts of the card that engines work on.
    fn parts(&mut self) -> (&mut CommandProcessor, Parts<'_>) {
        let parts = Parts {
            bus_master: self.config.bus_master(),
            registers: &mut self.registers,
            memory: &self.memory,
            gart: &mut self.gart,
            msi: &self.msi,
            injections: &mut self.injections,
            hostile: &mut self.hostile,
            counters: &mut self.counters,
        };
        (&mut self.command, parts)
    }

    /// Whether the command processor has hung.
    pub fn is_hung(&self) -> bool {
        self.command.is_hung()
    }

    /// Does what the command processor can do with the card locked, and returns what to do next.
    ///
    /// Transfers are carried out without the lock, so that the guest can use the registers
    /// meanwhile, but with the `access` under which they were found: it keeps others who hold the
    /// lock from taking the memory away ([`Memory::quiesce`]).
    pub fn step(&mut self, access: &Access<'_>) -> Step {
        let (command, mut parts) = self.parts();
        command.step(&mut parts, access)
    }

    /// Reports an ECC error at an offset into VRAM. Returns whether it was reported, which takes a
    /// card that has ECC and has it on.
    pub fn report_ecc(&mut self, offset: u64) -> bool {
        self.parts().1.report_ecc(offset)
    }

    /// Raises the interrupt. Returns whether it was delivered.
    pub fn interrupt(&mut self) -> bool {
        self.parts().1.interrupt()
    }
}

/// Whether a write to BAR0 only says that what the card has told was heard. A hostile card that
/// raised an interrupt for that, too, would never end.
fn is_acknowledgement(offset: u64) -> bool {
    let registers = [GART_FAULT_STATUS, ECC_STATUS, IH_RING_RPTR];
    registers
        .iter()
        .any(|register| REGISTERS[register.index()].offset == offset)
}

/// A card that the transport and the control socket's clients share.
#[derive(Clone)]
pub struct SharedDevice(Arc<Mutex<Device>>);

impl SharedDevice {
    /// Shares a card.
    pub fn new(device: Device) -> Self {
        SharedDevice(Arc::new(Mutex::new(device)))
    }

    /// Takes the card for one access.
    pub fn lock(&self) -> MutexGuard<'_, Device> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(crate) mod tests;
