// SPDX-License-Identifier: GPL-2.0

//! The clients of a card and their buffers.

use anyhow::Result;
use pddgpu::{
    gem_list::{self, Client},
    Card,
};
use rustix::{io::Errno, process::geteuid};

use crate::output::text::printable;

/// Reads the list of all clients but this process. An error comes with advice where there is any.
pub fn read(card: &Card) -> Result<Vec<Client>> {
    let own = card.client_id()?;
    let mut clients = gem_list::read(card).map_err(|error| {
        let advice = match error.errno() {
            Some(Errno::ACCESS | Errno::PERM) if !geteuid().is_root() => {
                Some("only root may see every client's buffers")
            }
            Some(Errno::NOENT) => Some("the list is in debugfs; is it mounted?"),
            _ => None,
        };
        match advice {
            Some(advice) => anyhow::Error::new(error).context(advice),
            None => anyhow::Error::new(error),
        }
    })?;
    clients.retain(|client| client.id != Some(own));
    Ok(clients)
}

/// The name and number of the client's process. Buffers without a handle have none.
pub fn process_name(client: &Client) -> String {
    match (&client.command, client.pid) {
        (Some(command), Some(pid)) => format!("{} ({pid})", printable(command)),
        _ => "(no handle)".to_owned(),
    }
}
