// SPDX-License-Identifier: GPL-2.0

//! The balance sheet: each heap by who has it.

use pddgpu::{Owner, OwnerKind};
use serde::Serialize;

use crate::{
    cgroups::Cgroups,
    commands::owners::by::By,
    output::{table::Table, text::printable, units::size},
};

/// What belongs to one owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    pub kind: OwnerKind,
    pub owner: String,
    pub buffers: u64,
    pub vram: u64,
    pub gtt: u64,
    pub cpu: u64,
    pub hop: u64,
}

impl Row {
    fn is_empty(&self) -> bool {
        [self.buffers, self.vram, self.gtt, self.cpu, self.hop] == [0; 5]
    }
}

/// The rows, those of clients first and by their size. Those without a byte are left out, and so is
/// the client that asks.
pub fn rows(owners: &[Owner], own: u64, by: By, cgroups: &Cgroups) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for owner in owners.iter().filter(|owner| owner.client != Some(own)) {
        let row = Row {
            kind: owner.kind,
            owner: name(owner, by, cgroups),
            buffers: owner.buffers,
            vram: owner.vram,
            gtt: owner.gtt,
            cpu: owner.cpu,
            hop: owner.hop,
        };
        let same = |other: &&mut Row| other.kind == row.kind && other.owner == row.owner;
        match rows.iter_mut().find(same) {
            Some(other) => {
                other.buffers += row.buffers;
                other.vram += row.vram;
                other.gtt += row.gtt;
                other.cpu += row.cpu;
                other.hop += row.hop;
            }
            None => rows.push(row),
        }
    }
    rows.retain(|row| !row.is_empty());
    rows.sort_by_key(|row| {
        let bytes = row.vram + row.gtt + row.cpu;
        let is_client = row.kind == OwnerKind::Client;
        (
            !is_client,
            std::cmp::Reverse(if is_client { bytes } else { 0 }),
        )
    });
    rows
}

/// What an owner is called.
pub fn name(owner: &Owner, by: By, cgroups: &Cgroups) -> String {
    if owner.kind != OwnerKind::Client {
        return kind_name(owner.kind).to_owned();
    }
    let process = match owner.pid {
        Some(pid) => format!("{} ({pid})", printable(&owner.command)),
        None => "a process that has ended".to_owned(),
    };
    match by {
        By::Client if owner.name.is_empty() => process,
        By::Client => format!("{process}: {}", printable(&owner.name)),
        By::Process => process,
        By::Cgroup => cgroups.name(owner.cgroup),
        By::Name if owner.name.is_empty() => "(no name)".to_owned(),
        By::Name => printable(&owner.name),
    }
}

/// What a kind of owner is called.
pub fn kind_name(kind: OwnerKind) -> &'static str {
    match kind {
        OwnerKind::Client => "(client)",
        OwnerKind::DmaBuf => "(dma-bufs alone)",
        OwnerKind::Mapping => "(mappings alone)",
        OwnerKind::Kernel => "(being created or freed)",
        OwnerKind::Arriving => "(buffers arriving)",
        OwnerKind::Leaving => "(buffers leaving)",
        OwnerKind::Wiping => "(being zeroed)",
        OwnerKind::Driver => "(driver)",
        OwnerKind::BadPage => "(bad pages)",
        OwnerKind::Request => "(reserved on request)",
        OwnerKind::Clean => "(free)",
        OwnerKind::Dirty => "(free, to be zeroed)",
        OwnerKind::Others => "(clients not listed)",
        OwnerKind::None => "(nobody)",
    }
}

/// A table with a row for each owner, and the sums.
pub fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(["Owner", "Buffers", "VRAM", "GTT", "CPU"]);
    for row in rows {
        table.row([
            row.owner.clone(),
            row.buffers.to_string(),
            size(row.vram),
            size(row.gtt),
            size(row.cpu),
        ]);
    }
    let sum = |bytes: fn(&Row) -> u64| rows.iter().map(bytes).sum::<u64>();
    table.row([
        "Total".to_owned(),
        sum(|row| row.buffers).to_string(),
        size(sum(|row| row.vram)),
        size(sum(|row| row.gtt)),
        size(sum(|row| row.cpu)),
    ]);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(kind: OwnerKind, client: u64, vram: u64) -> Owner {
        let is_client = kind == OwnerKind::Client;
        let name = if client == 2 { "menu" } else { "" };
        Owner {
            kind,
            client: is_client.then_some(client),
            pid: is_client.then_some(7),
            cgroup: is_client.then_some(1 << 62),
            command: "game".into(),
            name: name.into(),
            buffers: u64::from(is_client),
            vram,
            gtt: 0,
            cpu: 0,
            hop: 0,
        }
    }

    #[test]
    fn clients_are_added_up_as_asked() {
        let owners = [
            owner(OwnerKind::Client, 1, 4096),
            owner(OwnerKind::Client, 2, 8192),
            owner(OwnerKind::Client, 3, 1),
            owner(OwnerKind::Clean, 0, 100),
            owner(OwnerKind::None, 0, 0),
        ];
        for (by, expected) in [
            (
                By::Client,
                &[("game (7): menu", 8192), ("game (7)", 4096)][..],
            ),
            (By::Process, &[("game (7)", 12288)]),
            (By::Cgroup, &[("#4611686018427387904", 12288)]),
            (By::Name, &[("menu", 8192), ("(no name)", 4096)]),
        ] {
            let rows = rows(&owners, 3, by, &Cgroups::default());
            let names: Vec<_> = rows.iter().map(|row| (&*row.owner, row.vram)).collect();
            assert_eq!(names, [expected, &[("(free)", 100)]].concat(), "{by:?}");
        }
    }

    #[test]
    fn the_sums_are_at_the_end() {
        let owners = [
            owner(OwnerKind::Driver, 0, 4096),
            owner(OwnerKind::Clean, 0, 4096),
        ];
        let rows = rows(&owners, 0, By::Client, &Cgroups::default());
        let lines: Vec<_> = table(&rows).lines().collect();
        assert_eq!(lines[3], "Total           0  8 KiB  0 B  0 B");
    }
}
