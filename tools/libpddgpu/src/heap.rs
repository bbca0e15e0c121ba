// SPDX-License-Identifier: GPL-2.0

//! How much memory there is and how much of it is in use.

use serde::Serialize;

use crate::{card::Card, domain::Domain, error::Result, query::Query, raw};

/// One kind of memory and how much of it is in use, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Heap {
    /// The kind of memory.
    pub domain: Domain,
    /// Bytes that there are.
    pub total: u64,
    /// Bytes that buffers of user space may take up, all together.
    pub usable: u64,
    /// Bytes in use, those that are reserved included.
    pub used: u64,
    /// Bytes that are withheld from buffers: reserved ranges, and what the driver itself uses.
    pub reserved: u64,
    /// Bytes of `total` that the CPU can reach.
    pub visible_total: u64,
    /// Bytes of `used` that the CPU can reach.
    pub visible_used: u64,
}

impl Card {
    /// Asks the driver about all heaps, in the order of preference. Heaps in a domain that this
    /// library does not know are left out.
    pub fn heaps(&self) -> Result<Vec<Heap>> {
        let heaps = self.query_list(Query {
            number: raw::DRM_PDDGPU_QUERY_HEAPS,
            name: "QUERY heaps",
        })?;
        Ok(heaps.into_iter().filter_map(Heap::from_raw).collect())
    }
}

impl Heap {
    /// `None` if the domain is not known.
    fn from_raw(heap: raw::drm_pddgpu_heap) -> Option<Self> {
        Some(Self {
            domain: Domain::from_bit(heap.domain)?,
            total: heap.total,
            usable: heap.usable,
            used: heap.used,
            reserved: heap.reserved,
            visible_total: heap.visible_total,
            visible_used: heap.visible_used,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heaps_in_unknown_domains_are_left_out() {
        let heap = |domain| {
            Heap::from_raw(raw::drm_pddgpu_heap {
                domain,
                visible_total: 40,
                ..Default::default()
            })
        };
        let vram = heap(raw::PDDGPU_GEM_DOMAIN_VRAM).unwrap();
        assert_eq!((vram.domain, vram.visible_total), (Domain::Vram, 40));
        assert_eq!(heap(0x10), None);
        assert_eq!(heap(0), None);
    }
}
