// SPDX-License-Identifier: GPL-2.0

//! Whose each byte of a card's memory is.

use serde::Serialize;

use crate::{card::Card, domain::Domain, error::Result, query::Query, raw, text};

/// What a part of the memory is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u32)]
pub enum OwnerKind {
    /// Buffers of which a client has a handle. One that several have counts for one of them.
    Client = raw::PDDGPU_OWNER_CLIENT,
    /// Buffers without a handle, of which there is a dma-buf.
    DmaBuf = raw::PDDGPU_OWNER_DMA_BUF,
    /// Buffers without either, which a process has mapped.
    Mapping = raw::PDDGPU_OWNER_MAPPING,
    /// Buffers without any of these: they are being created or freed.
    Kernel = raw::PDDGPU_OWNER_KERNEL,
    /// Taken for a buffer that is being created, or moved there.
    Arriving = raw::PDDGPU_OWNER_ARRIVING,
    /// What a buffer has left that was moved or freed, until the card has ended its work on it.
    Leaving = raw::PDDGPU_OWNER_LEAVING,
    /// Free memory that is being zeroed.
    Wiping = raw::PDDGPU_OWNER_WIPING,
    /// What the driver needs itself.
    Driver = raw::PDDGPU_OWNER_DRIVER,
    /// Reserved because of a memory error.
    BadPage = raw::PDDGPU_OWNER_BAD_PAGE,
    /// Reserved by an administrator.
    Request = raw::PDDGPU_OWNER_REQUEST,
    /// Free, and zero where it has content.
    Clean = raw::PDDGPU_OWNER_CLEAN,
    /// Free, but not zeroed yet.
    Dirty = raw::PDDGPU_OWNER_DIRTY,
    /// Buffers of clients that are not listed.
    Others = raw::PDDGPU_OWNER_OTHERS,
    /// Bytes that nobody is known for. There are none unless the driver has a bug.
    None = raw::PDDGPU_OWNER_NONE,
}

impl OwnerKind {
    /// All kinds.
    pub const ALL: [Self; 14] = [
        Self::Client,
        Self::DmaBuf,
        Self::Mapping,
        Self::Kernel,
        Self::Arriving,
        Self::Leaving,
        Self::Wiping,
        Self::Driver,
        Self::BadPage,
        Self::Request,
        Self::Clean,
        Self::Dirty,
        Self::Others,
        Self::None,
    ];

    /// Whether it is memory of buffers.
    pub fn is_used(self) -> bool {
        self <= Self::Leaving || self == Self::Others
    }
}

/// Bytes that are there for one purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// What they are there for.
    pub kind: OwnerKind,
    /// Number of the client, if it is one.
    pub client: Option<u64>,
    /// Process of the client. `None` if it is gone, or not in this PID namespace.
    pub pid: Option<u32>,
    /// Inode number of the process's folder in the file system of cgroup 2.
    pub cgroup: Option<u64>,
    /// The name of the process.
    pub command: String,
    /// The name that the client has given itself.
    pub name: String,
    /// How many buffers these bytes are of.
    pub buffers: u64,
    /// Bytes of VRAM.
    pub vram: u64,
    /// Bytes of the GTT window.
    pub gtt: u64,
    /// Bytes of the CPU domain.
    pub cpu: u64,
    /// Bytes of system memory that pass through GTT without an address in the window. They belong to
    /// no heap.
    pub hop: u64,
}

impl Owner {
    /// Bytes in a heap.
    pub fn bytes(&self, domain: Domain) -> u64 {
        match domain {
            Domain::Vram => self.vram,
            Domain::Gtt => self.gtt,
            Domain::Cpu => self.cpu,
        }
    }

    /// `None` if the kind is not known.
    fn from_raw(owner: &raw::drm_pddgpu_owner) -> Option<Self> {
        let kind = OwnerKind::ALL
            .into_iter()
            .find(|&kind| kind as u32 == owner.kind)?;
        Some(Self {
            kind,
            client: (owner.client != 0).then_some(owner.client),
            pid: (owner.pid != 0).then_some(owner.pid),
            cgroup: (owner.cgroup != 0).then_some(owner.cgroup),
            command: text::from_field(&owner.comm),
            name: text::from_field(&owner.name),
            buffers: owner.buffers,
            vram: owner.vram,
            gtt: owner.gtt,
            cpu: owner.cpu,
            hop: owner.hop,
        })
    }
}

impl Card {
    /// Asks the driver whose each byte is. All figures are of one moment, and together they are
    /// [`Heap::total`](crate::Heap::total). Without `CAP_PERFMON` and `CAP_SYS_ADMIN` no other client
    /// is listed.
    pub fn owners(&self) -> Result<Vec<Owner>> {
        let owners: Vec<raw::drm_pddgpu_owner> = self.query_list(Query {
            number: raw::DRM_PDDGPU_QUERY_OWNERS,
            name: "QUERY owners",
        })?;
        Ok(owners.iter().filter_map(Owner::from_raw).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_taken_over_and_those_of_unknown_kinds_left_out() {
        let raw = raw::drm_pddgpu_owner {
            kind: raw::PDDGPU_OWNER_CLIENT,
            pid: 7,
            vram: 4096,
            ..Default::default()
        };
        let owner = Owner::from_raw(&raw).unwrap();
        assert_eq!((owner.pid, owner.client, owner.vram), (Some(7), None, 4096));
        assert_eq!(owner.bytes(Domain::Vram), 4096);
        for kind in [0, 15] {
            assert_eq!(
                Owner::from_raw(&raw::drm_pddgpu_owner { kind, ..raw }),
                None
            );
        }
    }

    #[test]
    fn every_byte_is_used_or_not() {
        let used = OwnerKind::ALL.into_iter().filter(|kind| kind.is_used());
        assert_eq!(used.count(), 7);
    }
}
