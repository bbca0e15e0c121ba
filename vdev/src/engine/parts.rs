// SPDX-License-Identifier: GPL-2.0

//! What the engines work on.

use crate::counters::Counters;
use crate::engine::hostile::Hostile;
use crate::engine::injections::Injections;
use crate::memory::gart::Gart;
use crate::memory::transfer::Memory;
use crate::pci::msi::Msi;
use crate::regs::register_file::RegisterFile;

/// The parts of a card that its engines work on, with the card locked.
pub struct Parts<'a> {
    /// Whether the card may access the guest's memory and raise interrupts.
    pub bus_master: bool,
    /// The registers.
    pub registers: &'a mut RegisterFile,
    /// The card's memory and the guest's.
    pub memory: &'a Memory,
    /// The cache of GART entries.
    pub gart: &'a mut Gart,
    /// The interrupt.
    pub msi: &'a Msi,
    /// What a test wants to go wrong.
    pub injections: &'a mut Injections,
    /// Whether and how the card lies.
    pub hostile: &'a mut Hostile,
    /// What has happened.
    pub counters: &'a mut Counters,
}
