// SPDX-License-Identifier: GPL-2.0

//! `pddgpuctl owners`: whose each byte is.

mod buffers;
pub mod by;
pub mod sheet;

use anyhow::Result;
use clap::Args;
use pddgpu::Card;
use serde::Serialize;

use crate::{cgroups::Cgroups, clients, output::json, processes::Processes};
use buffers::Buffer;
use by::By;
use sheet::Row;

#[derive(Args)]
pub struct Arguments {
    /// Add up what belongs to one client, process or cgroup, or to the clients with one name.
    #[arg(long, value_enum, default_value_t = By::Client)]
    by: By,

    /// Also print each buffer and everyone who holds it.
    ///
    /// These are the clients with a handle, the processes that have its dma-buf open or mapped, and
    /// those that have mapped it. The list comes from debugfs and /proc; only root may see those of
    /// others.
    #[arg(long)]
    pub buffers: bool,
}

#[derive(Serialize)]
struct Report {
    owners: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    buffers: Option<Vec<Buffer>>,
}

pub fn run(card: &Card, arguments: &Arguments, json: bool) -> Result<()> {
    let own = card.client_id()?;
    let owners = card.owners()?;
    let rows = sheet::rows(&owners, own, arguments.by, &Cgroups::read());
    let buffers = if arguments.buffers {
        let clients = clients::read(card)?;
        Some(buffers::of(&clients, &Processes::read(&card.nodes()?)))
    } else {
        None
    };
    if json {
        let owners = rows;
        return json::print(&Report { owners, buffers });
    }
    sheet::table(&rows).print()?;
    match buffers {
        Some(buffers) => buffers::print(&buffers),
        None => Ok(()),
    }
}
