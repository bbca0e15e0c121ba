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
    /// Function level resets.
    pub function_resets: u64,
    /// Resets by the client: of the bus, or because the machine boots or wakes up.
    pub bus_resets: u64,
    /// Times the aperture has been opened or closed.
    pub aperture_toggles: u64,
    /// DMA mappings ever made.
    pub dma_maps: u64,
    /// DMA unmap requests.
    pub dma_unmaps: u64,
    /// Interrupts delivered.
    pub irqs: u64,
    /// Interrupts raised while nobody listened, while the card was no bus master, or lost by
    /// injection.
    pub irqs_lost: u64,
    /// NOP packets executed.
    pub packets_nop: u64,
    /// COPY packets executed to their end.
    pub packets_copy: u64,
    /// FILL packets executed to their end.
    pub packets_fill: u64,
    /// FENCE packets executed.
    pub packets_fence: u64,
    /// Times the command processor has stopped with an error.
    pub command_errors: u64,
    /// Bytes moved by COPY packets.
    pub bytes_copied: u64,
    /// Bytes written by FILL packets.
    pub bytes_filled: u64,
    /// Pages of the GTT looked up in the cache of GART entries and found.
    pub gart_hits: u64,
    /// Pages of the GTT whose entries had to be read from the table.
    pub gart_misses: u64,
    /// Writes of GART_FLUSH.
    pub gart_flushes: u64,
    /// Accesses of the engines that faulted.
    pub gart_faults: u64,
    /// Entries posted to the interrupt ring.
    pub ih_entries: u64,
    /// Entries that found the interrupt ring full.
    pub ih_overflows: u64,
    /// Entries lost since the interrupt ring could not be reached or has no proper size.
    pub ih_lost: u64,
    /// ECC errors reported.
    pub ecc_errors: u64,
    /// Lies of a hostile card.
    #[serde(flatten)]
    pub lies: Lies,
}

/// How often a hostile card has lied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lies {
    /// Four bytes of a register that read as another value.
    pub lies_registers: u64,
    /// Pointers into a ring that led elsewhere.
    pub lies_pointers: u64,
    /// Fences that were the number of no packet.
    pub lies_fences: u64,
    /// Entries of the interrupt ring that were another, or that told of nothing.
    pub lies_entries: u64,
    /// Interrupts raised for no reason, or withheld.
    pub lies_interrupts: u64,
    /// Stops of the command processor that were ignored.
    pub lies_stops: u64,
    /// Resets by the register that were ignored.
    pub lies_resets: u64,
}
