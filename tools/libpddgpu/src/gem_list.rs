// SPDX-License-Identifier: GPL-2.0

//! All buffers of all clients. The driver lists them in debugfs, which only root may read.

use std::{fs, path::PathBuf};

use rustix::fs::{fstat, minor};
use serde::Serialize;

use crate::{
    card::Card,
    domain::{Domain, Domains},
    error::{Error, Result},
    flags::CreateFlags,
};

/// The words in the line of a buffer before its label.
const FIELDS: usize = 11;

/// Where debugfs has the folders of DRM devices.
const DEBUGFS: &str = "/sys/kernel/debug/dri";

/// One client of the driver, or all buffers of which no client has a handle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Client {
    /// The client's number. `None` for the buffers of which no client has a handle.
    pub id: Option<u64>,
    /// The process that opened the card.
    pub pid: Option<u32>,
    /// The name of that process.
    pub command: Option<String>,
    /// The buffers.
    pub buffers: Vec<Entry>,
}

/// One buffer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The client's handle, if it has one.
    pub handle: Option<u32>,
    /// A number that no other buffer of the card has had.
    pub id: u64,
    /// Bytes.
    pub size: u64,
    /// The domains that the buffer was created for.
    pub domains: Domains,
    /// The domain that the buffer is in now, if it is in any.
    pub placement: Option<Domain>,
    /// How many times the buffer is pinned.
    pub pins: u32,
    /// Bytes that the CPU can reach.
    pub visible: u64,
    /// Address of the first byte as the card sees it. `None` if the card has no address for the
    /// buffer, or the buffer is in several ranges.
    pub gpu_addr: Option<u64>,
    /// The offset at which the card's files have the buffer, as in `/proc/PID/maps`.
    pub mmap_offset: u64,
    /// Inode number of the buffer's dma-buf, as in `/proc/PID/fdinfo`, if it has one.
    pub dma_buf: Option<u64>,
    /// The flags that the buffer was created with.
    pub flags: CreateFlags,
    /// The name that a program has given the buffer.
    pub label: String,
}

/// The card's folder in debugfs.
pub fn debugfs_dir(card: &Card) -> Result<PathBuf> {
    let stat = fstat(card).map_err(Error::from_call("fstat"))?;
    Ok(PathBuf::from(DEBUGFS).join(minor(stat.st_rdev).to_string()))
}

/// Reads the list of one card's buffers.
pub fn read(card: &Card) -> Result<Vec<Client>> {
    let path = debugfs_dir(card)?.join("pddgpu_gem_info");
    let text = fs::read_to_string(&path).map_err(Error::from_file(path))?;
    parse(&text)
}

/// Reads the list from the text of the file.
pub fn parse(text: &str) -> Result<Vec<Client>> {
    let mut clients: Vec<Client> = Vec::new();
    for line in text.lines() {
        let wrong = || Error::Unexpected(format!("pddgpu_gem_info: cannot read '{line}'"));
        if let Some(head) = line.strip_prefix("client ") {
            clients.push(parse_client(head).ok_or_else(wrong)?);
        } else if line
            .split_whitespace()
            .next()
            .is_some_and(|word| word != "handle")
        {
            let entry = parse_entry(line).ok_or_else(wrong)?;
            clients.last_mut().ok_or_else(wrong)?.buffers.push(entry);
        }
    }
    Ok(clients)
}

fn parse_client(head: &str) -> Option<Client> {
    let (id, rest) = head.split_once(' ')?;
    let mut client = Client {
        id: parse_optional(id)?,
        pid: None,
        command: None,
        buffers: Vec::new(),
    };
    // A process may give itself any name, with spaces too. It is the rest of the line.
    if let Some((pid, command)) = rest
        .strip_prefix("pid ")
        .and_then(|rest| rest.split_once(" command "))
    {
        client.pid = Some(pid.parse().ok()?);
        client.command = Some(command.to_owned());
    }
    Some(client)
}

fn parse_entry(line: &str) -> Option<Entry> {
    // The last one is the label, with any spaces in it.
    let (fields, label) = split_fields(line)?;
    let mut columns = fields.into_iter();
    Some(Entry {
        handle: parse_optional(columns.next()?)?,
        id: columns.next()?.parse().ok()?,
        size: columns.next()?.parse().ok()?,
        domains: columns.next()?.parse().ok()?,
        placement: parse_optional(columns.next()?)?,
        pins: columns.next()?.parse().ok()?,
        visible: columns.next()?.parse().ok()?,
        gpu_addr: match columns.next()? {
            "-" => None,
            addr => Some(parse_hexadecimal(addr)?),
        },
        mmap_offset: parse_hexadecimal(columns.next()?)?,
        dma_buf: parse_optional(columns.next()?)?,
        flags: columns.next()?.parse().ok()?,
        label: label.to_owned(),
    })
}

/// The words of a line, and all that comes behind them.
fn split_fields(line: &str) -> Option<([&str; FIELDS], &str)> {
    let mut rest = line;
    let mut fields = [""; FIELDS];
    for field in &mut fields {
        rest = rest.trim_start_matches(' ');
        let end = rest.find(' ').unwrap_or(rest.len());
        (*field, rest) = rest.split_at(end);
        if field.is_empty() {
            return None;
        }
    }
    Some((fields, rest.strip_prefix(' ').unwrap_or(rest)))
}

fn parse_hexadecimal(word: &str) -> Option<u64> {
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

/// Reads a value that may be missing, which is written as `-`. `None` for what is no value.
fn parse_optional<T: std::str::FromStr>(word: &str) -> Option<Option<T>> {
    match word {
        "-" => Some(None),
        word => word.parse().ok().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
client 3 pid 157 command pddgpuctl
    handle id        size domains  placement pins        visible           gpu_addr mmap_offset dma_buf flags label
         1  7     1048576 VRAM|GTT VRAM         0        1048576 0x0000000000100000 0x100000 33 CPU_ACCESS_REQUIRED|VRAM_CONTIGUOUS of two words
         2  8        4096 CPU      -            1              0                  - 0x200000  - - 
client 4 pid 158 command two words
    handle id        size domains  placement pins        visible           gpu_addr mmap_offset dma_buf flags label
client - (no handle)
         -  9        4096 GTT      CPU          0           4096                  - 0x300000  - NO_CPU_ACCESS
";

    #[test]
    fn clients_and_their_buffers_are_read() {
        let clients = parse(LIST).unwrap();
        assert_eq!(clients.len(), 3);
        assert_eq!((clients[0].id, clients[0].pid), (Some(3), Some(157)));
        assert_eq!(
            clients[0].buffers[0],
            Entry {
                handle: Some(1),
                id: 7,
                size: 1 << 20,
                domains: Domains::VRAM | Domains::GTT,
                placement: Some(Domain::Vram),
                pins: 0,
                visible: 1 << 20,
                gpu_addr: Some(0x10_0000),
                mmap_offset: 0x10_0000,
                dma_buf: Some(33),
                flags: CreateFlags::CPU_ACCESS_REQUIRED | CreateFlags::VRAM_CONTIGUOUS,
                label: "of two words".into(),
            }
        );
        assert_eq!(clients[0].buffers[1].placement, None);
        assert_eq!(clients[0].buffers[1].pins, 1);
        assert_eq!(clients[1].command.as_deref(), Some("two words"));
        assert_eq!(clients[1].buffers, []);
        assert_eq!((clients[2].id, clients[2].pid), (None, None));
        assert_eq!(clients[2].buffers[0].handle, None);
    }

    #[test]
    fn lines_that_are_no_list_are_errors() {
        for text in [
            "client x pid 1 command a",
            "1 1 4096 CPU CPU 0 0 - 0x0 - -",
            "client 1 pid 2 command a\n1 1 4096 CPU CPU 0 0 - 0x0 -",
            "client 1 pid 2 command a\n1 1 4096 CPU CPU 0 0 - 1 - -",
            "client 1 pid 2 command a\n1 1 4096 TAPE CPU 0 0 - 0x0 - -",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
