// SPDX-License-Identifier: GPL-2.0

//! What `/proc/PID/fdinfo` tells of the clients of a card.
//!
//! A process may read that of its own user's processes, and root that of all.

use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::{AsFd, AsRawFd},
    path::Path,
};

use serde::Serialize;

use crate::{
    card::Card,
    error::{Error, Result},
};

/// Bytes of a client's buffers in one region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Of buffers that should be there.
    pub total: u64,
    /// Of those, the ones that others have, too.
    pub shared: u64,
    /// Of buffers that are there.
    pub resident: u64,
    /// Of those, the ones whose content may be dropped.
    pub purgeable: u64,
    /// Of those, the ones that the card is at work on.
    pub active: u64,
}

/// A client of a card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Client {
    /// The client's number.
    pub id: u64,
    /// A process that has it open.
    pub pid: u32,
    /// The name of that process.
    pub command: String,
    /// The name that the client has given itself.
    pub name: Option<String>,
    /// What it has in VRAM.
    pub vram: Memory,
    /// What it has in GTT.
    pub gtt: Memory,
    /// What it has in the CPU domain.
    pub cpu: Memory,
    /// Bytes of buffers that should be in VRAM and are elsewhere.
    pub displaced_vram: u64,
    /// Bytes of VRAM that it could have at present if it wanted all.
    pub budget_vram: u64,
    /// Bytes of VRAM that it has reserved.
    pub reserved_vram: u64,
    /// ns for which the copy engine has worked for it. `None` for a card without one.
    pub engine_ns: Option<u64>,
}

/// The clients of a card that this process may see, by their numbers.
pub fn read(card: &Card) -> Result<Vec<Client>> {
    let own = format!("/proc/self/fdinfo/{}", card.as_fd().as_raw_fd());
    let text = fs::read_to_string(&own).map_err(Error::from_file(&own))?;
    let device = value(&text, "drm-pdev").map(str::to_owned);
    let mut clients = BTreeMap::new();

    for process in fs::read_dir("/proc").map_err(Error::from_file("/proc"))? {
        let process = process.map_err(Error::from_file("/proc"))?;
        let Some(pid) = process
            .file_name()
            .to_str()
            .and_then(|pid| pid.parse().ok())
        else {
            continue;
        };
        // A process may be gone by now, or be another user's.
        let _ = read_process(&process.path(), pid, device.as_deref(), &mut clients);
    }
    Ok(clients.into_values().collect())
}

/// Adds the clients that a process has open.
fn read_process(
    folder: &Path,
    pid: u32,
    device: Option<&str>,
    clients: &mut BTreeMap<u64, Client>,
) -> io::Result<()> {
    let command = fs::read_to_string(folder.join("comm"))?;
    for file in fs::read_dir(folder.join("fdinfo"))? {
        let Ok(text) = fs::read_to_string(file?.path()) else {
            continue;
        };
        if value(&text, "drm-driver") != Some("pddgpu") || value(&text, "drm-pdev") != device {
            continue;
        }
        let client = parse(&text, pid, command.trim_end());
        clients.entry(client.id).or_insert(client);
    }
    Ok(())
}

/// The value of a key.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let line = text
        .lines()
        .find(|line| line.split_once(':').is_some_and(|(name, _)| name == key))?;
    Some(line[key.len() + 1..].trim())
}

/// A number of bytes, for which the kernel chooses the unit, or of ns.
fn number(text: &str, key: &str) -> Option<u64> {
    let value = value(text, key)?;
    let (number, unit) = value.split_once(' ').unwrap_or((value, ""));
    let shift = match unit {
        "KiB" => 10,
        "MiB" => 20,
        _ => 0,
    };
    Some(number.parse::<u64>().ok()? << shift)
}

fn parse(text: &str, pid: u32, command: &str) -> Client {
    let memory = |region: &str| {
        let bytes = |kind: &str| number(text, &format!("drm-{kind}-{region}")).unwrap_or(0);
        Memory {
            total: bytes("total"),
            shared: bytes("shared"),
            resident: bytes("resident"),
            purgeable: bytes("purgeable"),
            active: bytes("active"),
        }
    };
    Client {
        id: number(text, "drm-client-id").unwrap_or(0),
        pid,
        command: command.to_owned(),
        name: value(text, "drm-client-name").map(str::to_owned),
        vram: memory("vram"),
        gtt: memory("gtt"),
        cpu: memory("cpu"),
        displaced_vram: number(text, "pddgpu-displaced-vram").unwrap_or(0),
        budget_vram: number(text, "pddgpu-budget-vram").unwrap_or(0),
        reserved_vram: number(text, "pddgpu-reserved-vram").unwrap_or(0),
        engine_ns: number(text, "drm-engine-copy"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "pos:\t0\ndrm-driver:\tpddgpu\ndrm-client-id:\t7\ndrm-pdev:\t0000:01:00.0\n\
        drm-total-vram:\t3 MiB\ndrm-shared-vram:\t0\ndrm-resident-vram:\t4 KiB\n\
        drm-total-gtt:\t8 KiB\npddgpu-displaced-vram:\t12 KiB\n\
        pddgpu-budget-vram:\t16 KiB\ndrm-engine-copy:\t1234 ns\n";

    #[test]
    fn figures_have_their_units() {
        let client = parse(TEXT, 5, "game");
        assert_eq!((client.id, client.pid), (7, 5));
        assert_eq!(client.vram.total, 3 << 20);
        assert_eq!(client.vram.resident, 4 << 10);
        assert_eq!(client.gtt.total, 8 << 10);
        assert_eq!(client.cpu, Memory::default());
        assert_eq!(client.displaced_vram, 12 << 10);
        assert_eq!((client.budget_vram, client.reserved_vram), (16 << 10, 0));
        assert_eq!(client.engine_ns, Some(1234));
        assert_eq!(client.name, None);
    }

    #[test]
    fn keys_are_not_found_in_others() {
        assert_eq!(value(TEXT, "drm-total"), None);
        assert_eq!(value(TEXT, "drm-pdev"), Some("0000:01:00.0"));
    }
}
