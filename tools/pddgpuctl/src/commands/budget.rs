// SPDX-License-Identifier: GPL-2.0

//! `pddgpuctl budget`: prints what each client may have of VRAM.

use anyhow::Result;
use pddgpu::{fdinfo::Client, Card};

use crate::{
    commands::clients::{self, name},
    output::{table::Table, units::size},
};

pub fn run(card: &Card, json: bool) -> Result<()> {
    clients::print(card, json, table)
}

/// A table with one row for each client, those that want the most VRAM first.
fn table(clients: &[Client]) -> Table {
    let mut clients: Vec<_> = clients.iter().collect();
    clients.sort_by_key(|client| std::cmp::Reverse(client.vram.total));
    let mut table = Table::new([
        "Client",
        "Budget",
        "Wanted",
        "In VRAM",
        "Displaced",
        "Reserved",
    ]);
    for client in clients {
        table.row([
            name(client),
            size(client.budget_vram),
            size(client.vram.total),
            size(client.vram.resident),
            size(client.displaced_vram),
            size(client.reserved_vram),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_most_comes_first() {
        let client = |pid, total, budget_vram| {
            let mut client = Client {
                pid,
                command: "x".into(),
                budget_vram,
                ..Default::default()
            };
            client.vram.total = total;
            client
        };
        let lines: Vec<_> = table(&[client(1, 4096, 8192), client(2, 1 << 20, 1 << 21)])
            .lines()
            .collect();
        assert!(lines[1].starts_with("x (2)"), "{lines:?}");
        assert!(lines[2].contains("8 KiB"), "{lines:?}");
    }
}
