// SPDX-License-Identifier: GPL-2.0

//! Buffers that have been alive for suspiciously long.

use serde::Serialize;

use crate::{
    query::{self, Entry},
    raw, Card, Domain, Domains, Error, Result,
};

const CALL: &str = "QUERY leaks";

/// How often to ask again when there are more leaks each time.
const TRIES: u32 = 10;

/// How sure the driver is that a buffer is leaked, by how long it has been alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeakState {
    /// It may be.
    Suspected,
    /// It counts as leaked.
    Confirmed,
}

/// A buffer that has been alive for long, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leak {
    /// A number that no other buffer of the card has had.
    pub id: u64,
    /// Bytes.
    pub size: u64,
    /// How long ago it was created, in ms.
    pub age_ms: u64,
    /// The number of the DRM client that created it, as in fdinfo.
    pub client: u64,
    /// The process that created it; 0 if it is not in this PID namespace.
    pub pid: u32,
    /// That process's name.
    pub command: String,
    /// How sure the driver is.
    pub state: LeakState,
    /// The domains it was created for.
    pub domains: Domains,
    /// Where it is now, if anywhere.
    pub placement: Option<Domain>,
    /// Handles open to it, of all clients.
    pub handles: u32,
    /// CPU mappings of it.
    pub mappings: u32,
    /// dma-bufs made of it.
    pub exports: u32,
    /// How often it is pinned.
    pub pins: u32,
}

impl Leak {
    /// Whether nothing is known that keeps it alive.
    pub fn is_orphaned(&self) -> bool {
        [self.handles, self.mappings, self.exports, self.pins] == [0; 4]
    }

    fn known(entry: Entry<'_>) -> Option<Self> {
        let (pid, state) = entry.halves(4);
        let (domains, placement) = entry.halves(5);
        let (handles, mappings) = entry.halves(6);
        let (exports, pins) = entry.halves(7);
        let comm = [entry.word(8), entry.word(9)]
            .map(u64::to_ne_bytes)
            .concat();
        let comm = comm.split(|&byte| byte == 0).next().unwrap_or(&[]);
        Some(Self {
            id: entry.word(0),
            size: entry.word(1),
            age_ms: entry.word(2),
            client: entry.word(3),
            pid,
            command: String::from_utf8_lossy(comm).into_owned(),
            state: match state {
                raw::PDDGPU_LEAK_SUSPECTED => LeakState::Suspected,
                raw::PDDGPU_LEAK_CONFIRMED => LeakState::Confirmed,
                _ => return None,
            },
            domains: Domains::from_bits_retain(domains),
            placement: Domain::from_bit(placement),
            handles,
            mappings,
            exports,
            pins,
        })
    }
}

impl Card {
    /// Asks for all suspected and confirmed leaks, oldest first; without `CAP_PERFMON` or
    /// `CAP_SYS_ADMIN` only for those among the buffers created through this open file. Leaks in a
    /// state this library does not know are left out.
    pub fn leaks(&self) -> Result<Vec<Leak>> {
        read(|words| self.query_stats(CALL, raw::DRM_PDDGPU_QUERY_LEAKS, words))
    }
}

/// Asks how long the list is and then for the list, which may have grown meanwhile.
fn read(mut query: impl FnMut(&mut [u64]) -> Result<usize>) -> Result<Vec<Leak>> {
    let mut bytes = query(&mut [])?;
    for _ in 0..TRIES {
        // What the ABI has no room for is not worth the memory.
        if u32::try_from(bytes).is_err() {
            break;
        }
        let mut words = vec![0; bytes.div_ceil(size_of::<u64>())];
        let written = query(&mut words)?;
        words.truncate(written / size_of::<u64>());
        let whole = query::bytes(&words)
            .ok_or_else(|| Error::Unexpected(format!("{CALL}: the answer has no head")))?;
        if whole <= written {
            let entries = query::entries(&words)
                .ok_or_else(|| Error::Unexpected(format!("{CALL}: the answer is cut off")))?;
            return Ok(entries.filter_map(Leak::known).collect());
        }
        // With room for as many more as came, so that a list that keeps growing is caught up with.
        bytes = whole.saturating_mul(2).saturating_sub(bytes);
    }
    Err(Error::Unexpected(format!(
        "{CALL}: the list grows faster than it can be read"
    )))
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;
    use crate::raw::{drm_pddgpu_leak, drm_pddgpu_query_leaks};

    /// What a driver with `leaks` of them answers to a query with this much room.
    fn answer(leaks: u32, room: &mut [u64]) -> usize {
        let mut words = vec![u64::from(leaks) | (80 << 32)];
        for id in 1..=u64::from(leaks) {
            words.extend([id, 4096, 31_000, 2, 157 | (1 << 32), 6 | (4 << 32)]);
            words.extend([1, 0, u64::from_ne_bytes(*b"firefox\0"), 0]);
        }
        if room.is_empty() {
            return words.len() * 8;
        }
        let len = room.len().min(words.len());
        room[..len].copy_from_slice(&words[..len]);
        len * 8
    }

    #[test]
    fn leaks_are_words_as_they_are_taken() {
        assert_eq!(offset_of!(drm_pddgpu_query_leaks, num_leaks), 0);
        assert_eq!(offset_of!(drm_pddgpu_query_leaks, leak_size), 4);
        assert_eq!(offset_of!(drm_pddgpu_query_leaks, leaks), 8);
        let fields = [
            offset_of!(drm_pddgpu_leak, id),
            offset_of!(drm_pddgpu_leak, size),
            offset_of!(drm_pddgpu_leak, age_ms),
            offset_of!(drm_pddgpu_leak, client),
            offset_of!(drm_pddgpu_leak, pid),
            offset_of!(drm_pddgpu_leak, state),
            offset_of!(drm_pddgpu_leak, domains),
            offset_of!(drm_pddgpu_leak, placement),
            offset_of!(drm_pddgpu_leak, handles),
            offset_of!(drm_pddgpu_leak, mappings),
            offset_of!(drm_pddgpu_leak, exports),
            offset_of!(drm_pddgpu_leak, pins),
            offset_of!(drm_pddgpu_leak, comm),
        ];
        assert_eq!(fields, [0, 8, 16, 24, 32, 36, 40, 44, 48, 52, 56, 60, 64]);
        assert_eq!(size_of::<drm_pddgpu_leak>(), 80);
    }

    #[test]
    fn a_leak_is_read_whole() {
        let leaks = read(|room| Ok(answer(1, room))).unwrap();
        assert_eq!(
            leaks,
            [Leak {
                id: 1,
                size: 4096,
                age_ms: 31_000,
                client: 2,
                pid: 157,
                command: "firefox".into(),
                state: LeakState::Suspected,
                domains: Domains::VRAM | Domains::GTT,
                placement: Some(Domain::Vram),
                handles: 1,
                mappings: 0,
                exports: 0,
                pins: 0,
            }]
        );
        assert!(!leaks[0].is_orphaned());
    }

    #[test]
    fn there_may_be_none() {
        assert_eq!(read(|room| Ok(answer(0, room))).unwrap(), []);
    }

    #[test]
    fn a_list_that_grew_or_shrank_is_read_whole() {
        let mut calls = [3, 5, 6, 6].into_iter();
        let leaks = read(|room| Ok(answer(calls.next().unwrap(), room))).unwrap();
        assert_eq!(leaks.len(), 6);
        assert_eq!(leaks[5].id, 6);

        let mut calls = [5, 3].into_iter();
        let leaks = read(|room| Ok(answer(calls.next().unwrap(), room))).unwrap();
        assert_eq!(leaks.len(), 3);
    }

    #[test]
    fn a_list_that_outgrows_every_try_is_an_error() {
        let mut leaks = 1;
        let result = read(|room| {
            leaks *= 3;
            Ok(answer(leaks, room))
        });
        assert!(matches!(result, Err(Error::Unexpected(_))));
    }

    #[test]
    fn names_and_states_of_any_kind_are_taken() {
        let words = |state: u64, comm: [u8; 16]| {
            let (a, b) = comm.split_at(8);
            let word = |half: &[u8]| u64::from_ne_bytes(half.try_into().unwrap());
            vec![
                1 | (80 << 32),
                1,
                0,
                0,
                0,
                state << 32,
                0,
                0,
                0,
                word(a),
                word(b),
            ]
        };
        let read = |words: Vec<u64>| {
            read(move |room| {
                if !room.is_empty() {
                    room.copy_from_slice(&words);
                }
                Ok(words.len() * 8)
            })
            .unwrap()
        };
        let leaks = read(words(2, *b"sixteen letters!"));
        assert_eq!(leaks[0].command, "sixteen letters!");
        assert_eq!(leaks[0].state, LeakState::Confirmed);
        assert_eq!(leaks[0].placement, None);
        assert!(leaks[0].is_orphaned());
        assert_eq!(read(words(1, [0xff; 16]))[0].command.chars().count(), 16);
        assert!(read(words(3, [0; 16])).is_empty());
    }
}
