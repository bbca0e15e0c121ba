// SPDX-License-Identifier: GPL-2.0

//! What this client may have of each kind of memory, and what it has.

use serde::Serialize;

use crate::{
    card::{retry_interrupted, Card},
    domain::{Domain, Domains},
    error::{Error, Result},
    query::Query,
    raw,
};

/// What this client may have of one kind of memory, and what it has, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// The kind of memory.
    pub domain: Domain,
    /// Bytes that the client could have at present if it wanted all.
    pub budget: u64,
    /// Bytes of its buffers that should be there.
    pub usage: u64,
    /// Bytes of its buffers that are there.
    pub resident: u64,
    /// Bytes of `usage` that are elsewhere.
    pub displaced: u64,
    /// Bytes that it has reserved.
    pub reservation: u64,
    /// The largest reservation that it could have now.
    pub reservable: u64,
}

impl Card {
    /// Asks the driver what this client may have of each heap, in the order of preference. Heaps in a
    /// domain that this library does not know are left out.
    pub fn budgets(&self) -> Result<Vec<Budget>> {
        let budgets = self.query_list(Query {
            number: raw::DRM_PDDGPU_QUERY_BUDGET,
            name: "QUERY budget",
        })?;
        Ok(budgets.into_iter().filter_map(Budget::from_raw).collect())
    }

    /// Reserves so many bytes of VRAM for this client, instead of what it had reserved.
    pub fn reserve(&self, bytes: u64) -> Result<()> {
        let args = raw::drm_pddgpu_reserve {
            domain: Domains::from(Domain::Vram).bits(),
            size: bytes,
            ..Default::default()
        };
        retry_interrupted(|| self.raw().reserve(args)).map_err(Error::from_call("RESERVE"))
    }
}

impl Budget {
    /// `None` if the domain is not known.
    fn from_raw(budget: raw::drm_pddgpu_budget) -> Option<Self> {
        Some(Self {
            domain: Domain::from_bit(budget.domain)?,
            budget: budget.budget,
            usage: budget.usage,
            resident: budget.resident,
            displaced: budget.displaced,
            reservation: budget.reservation,
            reservable: budget.reservable,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_in_unknown_domains_are_left_out() {
        let budget = |domain| {
            Budget::from_raw(raw::drm_pddgpu_budget {
                domain,
                reservable: 40,
                ..Default::default()
            })
        };
        let vram = budget(raw::PDDGPU_GEM_DOMAIN_VRAM).unwrap();
        assert_eq!((vram.domain, vram.reservable), (Domain::Vram, 40));
        assert_eq!(budget(0x10), None);
    }
}
