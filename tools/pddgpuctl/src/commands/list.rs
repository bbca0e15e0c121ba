// SPDX-License-Identifier: GPL-2.0

use anyhow::Result;
use pddgpu::{
    gem_list::{self, Client, Entry},
    Card,
};
use rustix::{io::Errno, process::geteuid};

use crate::output::{self, address, printable, size, Table};

pub fn run(card: &Card, json: bool) -> Result<()> {
    let clients = read(card)?;
    if json {
        return output::json(&clients);
    }
    let mut table = Table::new([
        "Client",
        "Handle",
        "Size",
        "Domains",
        "In",
        "Pins",
        "Visible",
        "GPU address",
        "Flags",
    ]);
    let mut buffers = 0;
    for client in &clients {
        for entry in &client.buffers {
            add_row(&mut table, client, entry);
            buffers += 1;
        }
    }
    if buffers > 0 {
        table.lines().for_each(|line| println!("{line}"));
    }
    println!(
        "{buffers} buffers, {} clients",
        clients.iter().filter(|c| c.id.is_some()).count()
    );
    Ok(())
}

/// Reads the list, and where that fails says what may help.
pub fn read(card: &Card) -> Result<Vec<Client>> {
    gem_list::read(card).map_err(|error| {
        let hint = match error.errno() {
            Some(Errno::ACCESS | Errno::PERM) if !geteuid().is_root() => {
                Some("only root may see every client's buffers")
            }
            Some(Errno::NOENT) => Some("the list is in debugfs; is it mounted?"),
            _ => None,
        };
        match hint {
            Some(hint) => anyhow::Error::new(error).context(hint),
            None => error.into(),
        }
    })
}

fn add_row(table: &mut Table, client: &Client, entry: &Entry) {
    let who = match (&client.command, client.pid) {
        (Some(command), Some(pid)) => format!("{} ({pid})", printable(command)),
        _ => "(no handle)".to_owned(),
    };
    table.row([
        who,
        entry
            .handle
            .map_or_else(|| "-".to_owned(), |handle| handle.to_string()),
        size(entry.size),
        entry.domains.to_string(),
        entry
            .placement
            .map_or_else(|| "-".to_owned(), |domain| domain.to_string()),
        entry.pins.to_string(),
        size(entry.visible),
        address(entry.gpu_addr),
        entry.flags.to_string(),
    ]);
}
