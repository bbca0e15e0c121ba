// SPDX-License-Identifier: GPL-2.0

//! `pddgpuctl clients`: prints what each client has.

use anyhow::Result;
use pddgpu::{
    fdinfo::{self, Client},
    Card,
};
use rustix::process::geteuid;

use crate::output::{
    json, stdout,
    table::Table,
    text::{or_dash, printable},
    units::{duration, size},
};

pub fn run(card: &Card, json: bool) -> Result<()> {
    print(card, json, table)
}

/// Prints what the kernel tells of each client but this one, as JSON or as this table.
pub fn print(card: &Card, json: bool, table: fn(&[Client]) -> Table) -> Result<()> {
    let own = card.client_id()?;
    let mut clients = fdinfo::read(card)?;
    clients.retain(|client| client.id != own);
    if json {
        return json::print(&clients);
    }
    table(&clients).print()?;
    if !geteuid().is_root() {
        stdout::print("Clients of other users are not shown: that takes root.\n")?;
    }
    Ok(())
}

/// A table with one row for each client, those with the most VRAM first.
fn table(clients: &[Client]) -> Table {
    let mut clients: Vec<_> = clients.iter().collect();
    clients.sort_by_key(|client| std::cmp::Reverse(client.vram.resident));
    let mut table = Table::new([
        "Client",
        "VRAM",
        "GTT",
        "CPU",
        "Shared",
        "Displaced",
        "Engine time",
    ]);
    for client in clients {
        let all = [client.vram, client.gtt, client.cpu];
        table.row([
            name(client),
            size(client.vram.resident),
            size(client.gtt.resident),
            size(client.cpu.resident),
            size(all.iter().map(|memory| memory.shared).sum()),
            size(client.displaced_vram),
            or_dash(client.engine_ns.map(duration)),
        ]);
    }
    table
}

/// How a client is called: as it calls itself, or else as its process is.
pub fn name(client: &Client) -> String {
    match &client.name {
        Some(name) => printable(name),
        None => format!("{} ({})", printable(&client.command), client.pid),
    }
}

#[cfg(test)]
mod tests {
    use pddgpu::fdinfo::Memory;

    use super::*;

    #[test]
    fn who_has_most_comes_first() {
        let client = |pid, resident| Client {
            pid,
            command: "x".into(),
            vram: Memory {
                resident,
                ..Default::default()
            },
            ..Default::default()
        };
        let lines: Vec<_> = table(&[client(1, 4096), client(2, 1 << 20)])
            .lines()
            .collect();
        assert!(lines[1].starts_with("x (2)"), "{lines:?}");
        assert!(lines[2].contains("4 KiB"), "{lines:?}");
    }
}
