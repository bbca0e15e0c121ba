// SPDX-License-Identifier: GPL-2.0

//! The kinds of memory that a buffer may be in.

use std::{fmt, str::FromStr};

use bitflags::bitflags;
use serde::{Serialize, Serializer};

use crate::{mask, raw};

bitflags! {
    /// A mask of memory domains. The order of preference is always VRAM, GTT, CPU.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Domains: u32 {
        /// Memory on the card.
        const VRAM = raw::PDDGPU_GEM_DOMAIN_VRAM;
        /// System memory with an address in the card's GTT window.
        const GTT = raw::PDDGPU_GEM_DOMAIN_GTT;
        /// System memory that the card has no address for.
        const CPU = raw::PDDGPU_GEM_DOMAIN_CPU;
    }
}

mask::impl_text! {
    Domains: "domain",
}

/// Exactly one memory domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// Memory on the card.
    Vram,
    /// System memory with an address in the card's GTT window.
    Gtt,
    /// System memory that the card has no address for.
    Cpu,
}

impl Domain {
    /// All domains in the order of preference.
    pub const ALL: [Self; 3] = [Self::Vram, Self::Gtt, Self::Cpu];

    /// The domain of one bit of the ABI. `None` for any value that is not exactly one known bit.
    pub fn from_bit(bit: u32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|&domain| Domains::from(domain).bits() == bit)
    }
}

impl From<Domain> for Domains {
    fn from(domain: Domain) -> Self {
        match domain {
            Domain::Vram => Self::VRAM,
            Domain::Gtt => Self::GTT,
            Domain::Cpu => Self::CPU,
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Vram => "VRAM",
            Self::Gtt => "GTT",
            Self::Cpu => "CPU",
        })
    }
}

impl FromStr for Domain {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|domain| domain.to_string().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("unknown domain '{text}': there are vram, gtt and cpu"))
    }
}

impl Serialize for Domain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_listed_in_the_order_of_preference() {
        assert_eq!(Domains::all().to_string(), "VRAM|GTT|CPU");
        assert_eq!(Domains::empty().to_string(), "-");
        assert_eq!(Domains::from_bits_retain(0x42).to_string(), "GTT|0x40");
    }

    #[test]
    fn masks_are_read_back() {
        for mask in [
            Domains::empty(),
            Domains::VRAM | Domains::CPU,
            Domains::all(),
        ] {
            assert_eq!(mask.to_string().parse(), Ok(mask));
        }
        assert_eq!("vram, gtt".parse(), Ok(Domains::VRAM | Domains::GTT));
        assert_eq!(
            "vram,disk".parse::<Domains>(),
            Err("unknown domain 'disk': there are vram, gtt, cpu".to_owned())
        );
    }

    #[test]
    fn one_domain_is_one_known_bit() {
        for domain in Domain::ALL {
            assert_eq!(Domain::from_bit(Domains::from(domain).bits()), Some(domain));
        }
        for bits in [0, 3, 6, 7, 8, u32::MAX] {
            assert_eq!(Domain::from_bit(bits), None);
        }
    }
}
