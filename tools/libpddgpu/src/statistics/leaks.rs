// SPDX-License-Identifier: GPL-2.0

//! Buffers that have been alive for suspiciously long.

use serde::Serialize;

use crate::{
    card::Card,
    domain::{Domain, Domains},
    error::{Error, Result},
    query::Query,
    raw, text,
};

/// How sure the driver is that a buffer is leaked. It only goes by how long the buffer is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeakState {
    /// The buffer may be leaked.
    Suspected,
    /// The buffer counts as leaked.
    Confirmed,
}

/// A buffer that has been alive for long, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leak {
    /// A number that no other buffer of the card has had.
    pub id: u64,
    /// Bytes.
    pub size: u64,
    /// Time since the buffer was created, in ms.
    pub age_ms: u64,
    /// The number of the DRM client that created the buffer, as in fdinfo.
    pub client: u64,
    /// The process that created the buffer. 0 if it is not in this PID namespace.
    pub pid: u32,
    /// The name of that process.
    pub command: String,
    /// Whether that process has ended.
    pub exited: bool,
    /// How sure the driver is.
    pub state: LeakState,
    /// The domains that the buffer was created for.
    pub domains: Domains,
    /// The domain that the buffer is in now, if it is in any.
    pub placement: Option<Domain>,
    /// Handles open to the buffer, of all clients.
    pub handles: u32,
    /// CPU mappings of the buffer.
    pub mappings: u32,
    /// dma-bufs made of the buffer.
    pub exports: u32,
    /// How many times the buffer is pinned.
    pub pins: u32,
    /// The offset at which the card's files have the buffer, as in `/proc/PID/maps`. 0 if the
    /// driver does not say.
    pub mmap_offset: u64,
    /// Inode number of the buffer's dma-buf, as in `/proc/PID/fdinfo`, if it has one.
    pub dma_buf: Option<u64>,
    /// The name that a program has given the buffer.
    pub label: String,
}

impl Leak {
    /// Whether nothing is known that keeps the buffer alive.
    pub fn is_orphaned(&self) -> bool {
        [self.handles, self.mappings, self.exports, self.pins] == [0; 4]
    }

    /// `None` if the state is not known.
    fn from_raw(leak: raw::drm_pddgpu_leak) -> Option<Self> {
        let state = match leak.state {
            raw::PDDGPU_LEAK_SUSPECTED => LeakState::Suspected,
            raw::PDDGPU_LEAK_CONFIRMED => LeakState::Confirmed,
            _ => return None,
        };
        Some(Self {
            id: leak.id,
            size: leak.size,
            age_ms: leak.age_ms,
            client: leak.client,
            pid: leak.pid,
            command: text::from_field(&leak.comm),
            exited: leak.flags & raw::PDDGPU_LEAK_CREATOR_EXITED != 0,
            state,
            domains: Domains::from_bits_retain(leak.domains),
            placement: Domain::from_bit(leak.placement),
            handles: leak.handles,
            mappings: leak.mappings,
            exports: leak.exports,
            pins: leak.pins,
            mmap_offset: leak.mmap_offset,
            dma_buf: (leak.dma_buf != 0).then_some(leak.dma_buf),
            label: text::from_field(&leak.label),
        })
    }
}

impl Card {
    /// Asks the driver for all suspected and confirmed leaks, oldest first. Without `CAP_PERFMON`
    /// or `CAP_SYS_ADMIN` it only lists those among the buffers that were created through this open
    /// file. Leaks in a state that this library does not know are left out.
    pub fn leaks(&self) -> Result<Vec<Leak>> {
        let leaks = self
            .query_list(Query {
                number: raw::DRM_PDDGPU_QUERY_LEAKS,
                name: "QUERY leaks",
            })
            .map_err(Error::from_statistics_query)?;
        Ok(leaks.into_iter().filter_map(Leak::from_raw).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leak(state: u32, command: [u8; 16]) -> raw::drm_pddgpu_leak {
        raw::drm_pddgpu_leak {
            state,
            comm: command.map(|byte| byte as _),
            ..Default::default()
        }
    }

    #[test]
    fn a_leak_is_taken_over_whole() {
        let raw = raw::drm_pddgpu_leak {
            id: 1,
            size: 4096,
            age_ms: 31_000,
            client: 2,
            pid: 157,
            domains: 6,
            placement: 4,
            handles: 1,
            flags: raw::PDDGPU_LEAK_CREATOR_EXITED,
            mmap_offset: 0x10_0000,
            dma_buf: 77,
            ..leak(1, *b"firefox\0garbage\0")
        };
        let leak = Leak::from_raw(raw).unwrap();
        assert!(!leak.is_orphaned());
        assert_eq!(
            leak,
            Leak {
                id: 1,
                size: 4096,
                age_ms: 31_000,
                client: 2,
                pid: 157,
                command: "firefox".into(),
                exited: true,
                state: LeakState::Suspected,
                domains: Domains::VRAM | Domains::GTT,
                placement: Some(Domain::Vram),
                handles: 1,
                mappings: 0,
                exports: 0,
                pins: 0,
                mmap_offset: 0x10_0000,
                dma_buf: Some(77),
                label: String::new(),
            }
        );
    }

    #[test]
    fn a_leak_may_be_nowhere_and_without_a_reason() {
        let leak = Leak::from_raw(leak(2, [0; 16])).unwrap();
        assert_eq!(leak.state, LeakState::Confirmed);
        assert_eq!(leak.placement, None);
        assert!(leak.is_orphaned());
    }

    #[test]
    fn names_may_fill_their_field_and_be_no_text() {
        let command = |bytes| Leak::from_raw(leak(1, bytes)).unwrap().command;
        assert_eq!(command(*b"sixteen letters!"), "sixteen letters!");
        assert_eq!(command([0xff; 16]).chars().count(), 16);
    }

    #[test]
    fn leaks_in_unknown_states_are_left_out() {
        assert_eq!(Leak::from_raw(leak(0, [0; 16])), None);
        assert_eq!(Leak::from_raw(leak(3, [0; 16])), None);
    }
}
