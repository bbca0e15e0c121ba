// SPDX-License-Identifier: GPL-2.0

//! `pddgpuctl heaps`: prints how much memory is in use.

use anyhow::Result;
use pddgpu::{Card, Heap};

use crate::output::{json, table::Table, units::size};

pub fn run(card: &Card, json: bool) -> Result<()> {
    let heaps = card.heaps()?;
    if json {
        return json::print(&heaps);
    }
    table(&heaps).print()
}

/// A table with one row for each heap.
pub fn table(heaps: &[Heap]) -> Table {
    let mut table = Table::new([
        "Heap",
        "Used",
        "Reserved",
        "Free",
        "Usable",
        "Total",
        "Visible used",
        "Visible",
    ]);
    for heap in heaps {
        table.row([
            heap.domain.to_string(),
            size(heap.used),
            size(heap.reserved),
            size(heap.total.saturating_sub(heap.used)),
            size(heap.usable),
            size(heap.total),
            size(heap.visible_used),
            size(heap.visible_total),
        ]);
    }
    table
}
