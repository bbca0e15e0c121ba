// SPDX-License-Identifier: GPL-2.0

//! Each buffer and everyone who holds it.

use std::collections::BTreeMap;

use anyhow::Result;
use pddgpu::{gem_list::Client, Domain};
use serde::Serialize;

use crate::{
    clients::process_name,
    output::{
        stdout,
        table::Table,
        text::{or_dash, printable},
        units::size,
    },
    processes::{Process, Processes},
};

/// A buffer.
#[derive(Debug, Serialize)]
pub struct Buffer {
    pub id: u64,
    pub size: u64,
    pub placement: Option<Domain>,
    pub label: String,
    pub dma_buf: Option<u64>,
    pub mmap_offset: u64,
    /// The clients with a handle.
    pub clients: Vec<Holder>,
    /// The processes that have its dma-buf open.
    pub dma_buf_open: Vec<Process>,
    /// The processes that have its dma-buf mapped.
    pub dma_buf_mapped: Vec<Process>,
    /// The processes that have mapped it through the card's node.
    pub mapped: Vec<Process>,
}

/// A client with a handle of a buffer.
#[derive(Debug, Serialize)]
pub struct Holder {
    pub client: u64,
    pub process: String,
    pub handle: u32,
}

/// All buffers, the largest first.
pub fn of(clients: &[Client], processes: &Processes) -> Vec<Buffer> {
    let mut buffers: BTreeMap<u64, Buffer> = BTreeMap::new();
    let those = |map: &BTreeMap<u64, Vec<Process>>, key: Option<u64>| {
        let processes = key.and_then(|key| map.get(&key));
        processes.cloned().unwrap_or_default()
    };
    for client in clients {
        for entry in &client.buffers {
            let buffer = buffers.entry(entry.id).or_insert_with(|| Buffer {
                id: entry.id,
                size: entry.size,
                placement: entry.placement,
                label: entry.label.clone(),
                dma_buf: entry.dma_buf,
                mmap_offset: entry.mmap_offset,
                clients: Vec::new(),
                dma_buf_open: those(&processes.open, entry.dma_buf),
                dma_buf_mapped: those(&processes.mapped, entry.dma_buf),
                mapped: those(&processes.node, Some(entry.mmap_offset)),
            });
            let holder = client.id.zip(entry.handle);
            buffer.clients.extend(holder.map(|(id, handle)| Holder {
                client: id,
                process: process_name(client),
                handle,
            }));
        }
    }
    let mut buffers: Vec<_> = buffers.into_values().collect();
    buffers.sort_by_key(|buffer| std::cmp::Reverse(buffer.size));
    buffers
}

/// Prints a line for each buffer.
pub fn print(buffers: &[Buffer]) -> Result<()> {
    if buffers.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(["Buffer", "Size", "In", "dma-buf"]);
    // A table would align this last column to the right.
    let mut holders = vec!["Held by".to_owned()];
    for buffer in buffers {
        table.row([
            buffer.id.to_string(),
            size(buffer.size),
            or_dash(buffer.placement),
            or_dash(buffer.dma_buf),
        ]);
        holders.push(held_by(buffer));
    }
    let lines = table.lines().zip(holders);
    stdout::print("\n")?;
    stdout::print_lines(lines.map(|(line, holders)| format!("{line}  {holders}")))
}

fn held_by(buffer: &Buffer) -> String {
    let clients = buffer.clients.iter();
    let mut parts: Vec<_> = clients
        .map(|holder| format!("{} handle {}", holder.process, holder.handle))
        .collect();
    for (how, processes) in [
        ("dma-buf open in", &buffer.dma_buf_open),
        ("dma-buf mapped in", &buffer.dma_buf_mapped),
        ("mapped in", &buffer.mapped),
    ] {
        parts.extend(processes.iter().map(|process| {
            let command = printable(&process.command);
            format!("{how} {command} ({})", process.pid)
        }));
    }
    if parts.is_empty() {
        parts.push("nobody that /proc tells of".to_owned());
    }
    let holders = parts.join(", ");
    match printable(&buffer.label) {
        label if label.is_empty() => holders,
        label => format!("{holders}; {label}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_one_line_with_all_who_hold_it() {
        let list = "\
client 3 pid 157 command one
         1 7 4096 GTT    GTT  0 4096 - 0x1000 33 - a label
client 4 pid 158 command two
         9 7 4096 GTT    GTT  0 4096 - 0x1000 33 - a label
client - (no handle)
         - 8 8192 GTT    CPU  0 4096 - 0x2000 - -
";
        let mut processes = Processes::default();
        let process = Process {
            pid: 5,
            command: "other".into(),
        };
        processes.open.insert(33, vec![process.clone()]);
        processes.node.insert(0x2000, vec![process]);
        let buffers = of(&pddgpu::gem_list::parse(list).unwrap(), &processes);
        assert_eq!(held_by(&buffers[0]), "mapped in other (5)");
        assert_eq!(
            held_by(&buffers[1]),
            "one (157) handle 1, two (158) handle 9, dma-buf open in other (5); a label"
        );
    }
}
