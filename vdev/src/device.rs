// SPDX-License-Identifier: GPL-2.0

//! The card as a whole: what an access to each of its regions does, and how its parts act on each
//! other. It takes any access without complaint, as hardware does.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::dma::DmaSpace;
use crate::interrupt::Msi;
use crate::options::{Card, Chip};
use crate::pci_config::{self, PciConfig};
use crate::registers::{Effect, RegisterFile};
use crate::vram::Vram;

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

/// How often things have happened since the card was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Reads of BAR0.
    pub register_reads: u64,
    /// Writes of BAR0.
    pub register_writes: u64,
    /// Reads of four bytes of BAR0 where there is no register.
    pub unlisted_reads: u64,
    /// Writes of four bytes of BAR0 where there is no register.
    pub unlisted_writes: u64,
    /// Accesses to BAR0 of a width or alignment that it does not take.
    pub bad_accesses: u64,
    /// Reads of BAR2 that did not go through the mapping.
    pub aperture_reads: u64,
    /// Writes of BAR2 that did not go through the mapping.
    pub aperture_writes: u64,
    /// Reads of configuration space.
    pub config_reads: u64,
    /// Writes of configuration space.
    pub config_writes: u64,
    /// Resets by the RESET register.
    pub register_resets: u64,
    /// Resets by the client, such as a reboot of the machine.
    pub function_resets: u64,
    /// Times the aperture has been opened or closed.
    pub aperture_toggles: u64,
    /// DMA mappings ever made.
    pub dma_maps: u64,
    /// DMA unmap requests.
    pub dma_unmaps: u64,
    /// Interrupts delivered.
    pub irqs: u64,
    /// Interrupts raised while nobody listened.
    pub irqs_lost: u64,
}

/// A card.
pub struct Device {
    chip: Chip,
    registers_len: u64,
    /// The registers.
    pub registers: RegisterFile,
    vram: Arc<Vram>,
    /// Configuration space.
    pub config: PciConfig,
    /// The guest's memory.
    pub dma: DmaSpace,
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
            vram: Arc::new(Vram::new(card.vram_len, card.aperture_len)?),
            config: PciConfig::new(card),
            dma: DmaSpace::default(),
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
        &self.vram
    }

    /// Bytes of a region; zero if the card does not have it.
    pub fn region_len(&self, region: Region) -> u64 {
        match region {
            Region::Registers => self.registers_len,
            Region::Aperture => self.vram.aperture_len(),
            Region::Config => pci_config::LEN,
        }
    }

    /// Reads from a region.
    pub fn read(&mut self, region: Region, offset: u64, data: &mut [u8]) {
        match region {
            Region::Registers => {
                self.counters.register_reads += 1;
                self.read_registers(offset, data);
            }
            Region::Aperture => {
                self.counters.aperture_reads += 1;
                self.vram.read_aperture(offset, data);
            }
            Region::Config => {
                self.counters.config_reads += 1;
                self.config.read(offset, data);
            }
        }
    }

    /// Writes to a region.
    pub fn write(&mut self, region: Region, offset: u64, data: &[u8]) {
        match region {
            Region::Registers => {
                self.counters.register_writes += 1;
                self.write_registers(offset, data);
            }
            Region::Aperture => {
                self.counters.aperture_writes += 1;
                if let Err(error) = self.vram.write_aperture(offset, data) {
                    eprintln!("pddgpu-vdev: a write to BAR2 is lost: {error}");
                }
            }
            Region::Config => {
                self.counters.config_writes += 1;
                self.config.write(offset, data);
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
                Ok(value) => half.copy_from_slice(&value.to_le_bytes()),
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
            Effect::Reset => {
                self.counters.register_resets += 1;
                self.reset();
            }
        }
    }

    fn set_aperture(&mut self, open: bool) {
        match self.vram.set_open(open) {
            Ok(changed) => self.counters.aperture_toggles += u64::from(changed),
            Err(error) => eprintln!("pddgpu-vdev: the aperture stays as it is: {error}"),
        }
    }

    /// Resets every register and engine; the content of the VRAM stays.
    fn reset(&mut self) {
        self.registers.reset();
        self.set_aperture(false);
    }

    /// Resets the function, as a machine that boots again does.
    pub fn reset_function(&mut self) {
        self.counters.function_resets += 1;
        self.reset();
    }

    /// Maps guest memory for the card; see [`DmaSpace::map`].
    pub fn dma_map(
        &mut self,
        address: u64,
        len: u64,
        writable: bool,
        file: Option<(File, u64)>,
    ) -> io::Result<()> {
        self.dma.map(address, len, writable, file)?;
        self.counters.dma_maps += 1;
        Ok(())
    }

    /// Unmaps guest memory: what lies within a range, or everything.
    pub fn dma_unmap(&mut self, range: Option<(u64, u64)>) {
        self.counters.dma_unmaps += 1;
        match range {
            Some((address, len)) => {
                self.dma.unmap(address, len);
            }
            None => self.dma.clear(),
        }
    }

    /// Raises the interrupt; says whether it was delivered.
    pub fn interrupt(&mut self) -> bool {
        let delivered = self.msi.trigger();
        if delivered {
            self.counters.irqs += 1;
        } else {
            self.counters.irqs_lost += 1;
        }
        delivered
    }
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
