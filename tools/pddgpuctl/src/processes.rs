// SPDX-License-Identifier: GPL-2.0

//! Which processes have a buffer open or mapped, as `/proc` tells.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Serialize;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Process {
    pub pid: u32,
    pub command: String,
}

/// The processes that have something of a card open or mapped.
#[derive(Debug, Default)]
pub struct Processes {
    /// By the inode number of a dma-buf that they have open.
    pub open: BTreeMap<u64, Vec<Process>>,
    /// By the inode number of a dma-buf that they have mapped.
    pub mapped: BTreeMap<u64, Vec<Process>>,
    /// By the offset in a node of the card at which they have mapped it.
    pub node: BTreeMap<u64, Vec<Process>>,
}

/// Something that a process has mapped.
#[derive(Debug, PartialEq, Eq)]
enum Mapped {
    DmaBuf(u64),
    Node(u64),
}

impl Processes {
    /// Looks at all processes. Those of others are left out, unless this one is root's.
    pub fn read(nodes: &[String]) -> Self {
        let mut all = Self::default();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let name = entry.file_name();
            if let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) {
                all.look_at(&entry.path(), pid, nodes);
            }
        }
        all
    }

    fn look_at(&mut self, folder: &Path, pid: u32, nodes: &[String]) {
        let Ok(command) = fs::read_to_string(folder.join("comm")) else {
            return;
        };
        let process = Process {
            pid,
            command: command.trim_end().to_owned(),
        };
        for file in fs::read_dir(folder.join("fdinfo"))
            .into_iter()
            .flatten()
            .flatten()
        {
            if let Some(inode) = fs::read_to_string(file.path())
                .ok()
                .and_then(|text| dma_buf(&text))
            {
                add(&mut self.open, inode, &process);
            }
        }
        let maps = fs::read_to_string(folder.join("maps")).unwrap_or_default();
        for mapped in maps.lines().filter_map(|line| mapped(line, nodes)) {
            match mapped {
                Mapped::DmaBuf(inode) => add(&mut self.mapped, inode, &process),
                Mapped::Node(offset) => add(&mut self.node, offset, &process),
            }
        }
    }
}

fn add(map: &mut BTreeMap<u64, Vec<Process>>, key: u64, process: &Process) {
    let processes = map.entry(key).or_default();
    if processes.last() != Some(process) {
        processes.push(process.clone());
    }
}

/// The inode number, if a file's `fdinfo` is that of a dma-buf.
fn dma_buf(text: &str) -> Option<u64> {
    let value = |key: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(':').map(str::trim))
    };
    value("exp_name")?;
    value("ino")?.parse().ok()
}

/// What a line of `maps` is about, if it is a dma-buf or one of the nodes.
fn mapped(line: &str, nodes: &[String]) -> Option<Mapped> {
    let mut words = line.split_whitespace();
    let (_, _, offset) = (words.next()?, words.next()?, words.next()?);
    let (_, inode, path) = (words.next()?, words.next()?, words.next()?);
    if path.starts_with("/dmabuf:") {
        return Some(Mapped::DmaBuf(inode.parse().ok()?));
    }
    let is_node = nodes.iter().any(|node| node == path);
    is_node.then_some(Mapped::Node(u64::from_str_radix(offset, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dma_buf_is_known_by_its_exporter() {
        let text = "pos:\t0\nino:\t77\nsize:\t4096\nexp_name:\tpddgpu\n";
        assert_eq!(dma_buf(text), Some(77));
        assert_eq!(dma_buf("pos:\t0\nino:\t77\n"), None);
    }

    #[test]
    fn mappings_are_of_dma_bufs_and_of_the_card() {
        let nodes = ["/dev/dri/renderD128".to_owned()];
        let line = |rest| format!("7f00-7f01 rw-s {rest}");
        let of = |rest| mapped(&line(rest), &nodes);
        assert_eq!(of("00000000 00:0a 77  /dmabuf:"), Some(Mapped::DmaBuf(77)));
        assert_eq!(
            of("100000000 00:05 9 /dev/dri/renderD128"),
            Some(Mapped::Node(1 << 32))
        );
        assert_eq!(of("100000000 00:05 9 /dev/dri/renderD129"), None);
        assert_eq!(of("00000000 00:00 0"), None);
    }
}
