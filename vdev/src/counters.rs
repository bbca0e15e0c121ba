// SPDX-License-Identifier: GPL-2.0

//! What the card counts, for tests to look at.

use serde::Serialize;

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
