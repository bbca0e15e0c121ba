// SPDX-License-Identifier: GPL-2.0

//! Whose the memory is, as a tree: cgroups, their processes, and the clients of these.

use pddgpu::{Owner, OwnerKind};
use serde::Serialize;

use crate::{
    cgroups::Cgroups,
    commands::owners::{
        by::By,
        sheet::{kind_name, name},
    },
    output::text::printable,
};

/// A cgroup, a process, a client, or what else memory is there for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Node {
    pub name: String,
    pub buffers: u64,
    pub vram: u64,
    pub gtt: u64,
    pub cpu: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Node>,
}

impl Node {
    fn new(name: String) -> Self {
        Self {
            name,
            ..Default::default()
        }
    }

    /// Bytes in all domains together.
    pub fn total(&self) -> u64 {
        self.vram + self.gtt + self.cpu
    }

    fn add(&mut self, owner: &Owner) {
        self.buffers += owner.buffers;
        self.vram += owner.vram;
        self.gtt += owner.gtt;
        self.cpu += owner.cpu;
    }

    /// The child with a name, which is made if there is none.
    fn child(&mut self, name: String) -> &mut Self {
        let at = self.children.iter().position(|child| child.name == name);
        let at = at.unwrap_or_else(|| {
            self.children.push(Self::new(name));
            self.children.len() - 1
        });
        &mut self.children[at]
    }
}

/// The tree of all whose memory it is, but the client that asks. Who has nothing is left out.
pub fn tree(owners: &[Owner], own: u64, cgroups: &Cgroups) -> Vec<Node> {
    let mut root = Node::default();
    for owner in owners {
        if !owner.kind.is_used() || owner.client == Some(own) || owner.buffers == 0 {
            continue;
        }
        if owner.kind != OwnerKind::Client {
            root.child(kind_name(owner.kind).to_owned()).add(owner);
            continue;
        }
        let cgroup = root.child(name(owner, By::Cgroup, cgroups));
        cgroup.add(owner);
        let process = cgroup.child(name(owner, By::Process, cgroups));
        process.add(owner);
        let number = owner.client.unwrap_or_default();
        let name = match printable(&owner.name) {
            name if name.is_empty() => format!("client {number}"),
            name => format!("client {number}: {name}"),
        };
        process.child(name).add(owner);
    }
    root.children
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u64, pid: u32, cgroup: u64, name: &str, vram: u64) -> Owner {
        Owner {
            kind: OwnerKind::Client,
            client: Some(number),
            pid: Some(pid),
            cgroup: Some(cgroup),
            command: "ga\tme".into(),
            name: name.into(),
            buffers: u64::from(vram > 0),
            vram,
            gtt: 0,
            cpu: 0,
            hop: 0,
        }
    }

    #[test]
    fn clients_are_below_their_process_and_its_cgroup() {
        let orphan = Owner {
            kind: OwnerKind::DmaBuf,
            ..client(0, 0, 0, "", 1)
        };
        let free = Owner {
            kind: OwnerKind::Clean,
            ..client(0, 0, 0, "", 1000)
        };
        let nodes = tree(
            &[
                client(1, 7, 1 << 62, "menu", 10),
                client(2, 7, 1 << 62, "", 20),
                client(3, 8, 1 << 62, "", 30),
                client(4, 9, 1 << 61, "", 0),
                client(5, 10, 1 << 61, "", 50),
                orphan,
                free,
            ],
            5,
            &Cgroups::default(),
        );
        assert_eq!(nodes.len(), 2, "{nodes:?}");
        assert_eq!(nodes[0].name, "#4611686018427387904");
        assert_eq!((nodes[0].vram, nodes[0].buffers), (60, 3));
        let process = &nodes[0].children[0];
        assert_eq!((&*process.name, process.total()), ("ga?me (7)", 30));
        let names: Vec<_> = process.children.iter().map(|node| &*node.name).collect();
        assert_eq!(names, ["client 1: menu", "client 2"]);
        assert_eq!((&*nodes[1].name, nodes[1].vram), ("(dma-bufs alone)", 1));
    }
}
