// SPDX-License-Identifier: GPL-2.0

//! `pddgpuctl list`: prints every buffer of every client.

use anyhow::Result;
use pddgpu::{
    gem_list::{Client, Entry},
    Card,
};

use crate::{
    clients::{self, process_name},
    output::{
        json, stdout,
        table::Table,
        text::{address, or_dash, plural, printable},
        units::size,
    },
};

pub fn run(card: &Card, json: bool) -> Result<()> {
    let clients = clients::read(card)?;
    if json {
        return json::print(&clients);
    }
    let buffers: usize = clients.iter().map(|client| client.buffers.len()).sum();
    if buffers > 0 {
        table(&clients).print()?;
    }
    let with_files = clients.iter().filter(|client| client.id.is_some()).count();
    stdout::print_lines([format!(
        "{}, {}",
        plural(buffers as u64, "buffer"),
        plural(with_files as u64, "client")
    )])
}

/// A table with one row for each buffer.
fn table(clients: &[Client]) -> Table {
    let mut table = Table::new([
        "Client",
        "Handle",
        "Buffer",
        "Size",
        "Domains",
        "In",
        "Pins",
        "Visible",
        "GPU address",
        "Offset",
        "dma-buf",
        "Flags",
        "Label",
    ]);
    for client in clients {
        for entry in &client.buffers {
            table.row(row(client, entry));
        }
    }
    table
}

fn row(client: &Client, entry: &Entry) -> [String; 13] {
    [
        process_name(client),
        or_dash(entry.handle),
        entry.id.to_string(),
        size(entry.size),
        entry.domains.to_string(),
        or_dash(entry.placement),
        entry.pins.to_string(),
        size(entry.visible),
        address(entry.gpu_addr),
        format!("{:#x}", entry.mmap_offset),
        or_dash(entry.dma_buf),
        entry.flags.to_string(),
        printable(&entry.label),
    ]
}
