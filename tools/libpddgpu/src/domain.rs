// SPDX-License-Identifier: GPL-2.0

use std::{fmt, str::FromStr};

use bitflags::bitflags;
use serde::{Serialize, Serializer};

use crate::raw;

bitflags! {
    /// A mask of memory domains. The order of preference is always VRAM, GTT, CPU.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Domains: u32 {
        /// Memory on the card.
        const VRAM = raw::PDDGPU_GEM_DOMAIN_VRAM;
        /// System memory with an address in the card's GTT window.
        const GTT = raw::PDDGPU_GEM_DOMAIN_GTT;
        /// System memory the card has no address for.
        const CPU = raw::PDDGPU_GEM_DOMAIN_CPU;
    }

    /// What is asked of a buffer at its creation.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct CreateFlags: u32 {
        /// While in VRAM, the buffer lies wholly inside the CPU's aperture.
        const CPU_ACCESS_REQUIRED = raw::PDDGPU_GEM_CREATE_CPU_ACCESS_REQUIRED;
        /// The buffer can never be mapped by the CPU.
        const NO_CPU_ACCESS = raw::PDDGPU_GEM_CREATE_NO_CPU_ACCESS;
        /// The program relies on VRAM being zeroed first (it always is).
        const VRAM_CLEARED = raw::PDDGPU_GEM_CREATE_VRAM_CLEARED;
        /// While in VRAM, the buffer is one range of addresses.
        const VRAM_CONTIGUOUS = raw::PDDGPU_GEM_CREATE_VRAM_CONTIGUOUS;
    }

    /// What a card can do besides holding memory.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Features: u32 {
        /// It translates addresses in the GTT window.
        const GART = raw::DRM_PDDGPU_FEATURE_GART;
        /// It copies memory.
        const COPY = raw::DRM_PDDGPU_FEATURE_COPY;
        /// It fills memory with a value.
        const FILL = raw::DRM_PDDGPU_FEATURE_FILL;
        /// It reports uncorrectable memory errors.
        const ECC = raw::DRM_PDDGPU_FEATURE_ECC;
    }
}

/// Exactly one memory domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// Memory on the card.
    Vram,
    /// System memory with an address in the card's GTT window.
    Gtt,
    /// System memory the card has no address for.
    Cpu,
}

impl Domain {
    /// All of them, in the order of preference.
    pub const ALL: [Self; 3] = [Self::Vram, Self::Gtt, Self::Cpu];

    /// The domain of this one bit of the ABI, or nothing for any other value.
    pub fn from_bit(bit: u32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|&d| Domains::from(d).bits() == bit)
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

    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|d| d.to_string().eq_ignore_ascii_case(s))
            .ok_or_else(|| format!("unknown domain '{s}': there are vram, gtt and cpu"))
    }
}

impl Serialize for Domain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Writes a mask as its names with `|` between them, `-` when it is empty; bits without a name as
/// one hexadecimal number.
fn fmt_names<F: bitflags::Flags<Bits = u32>>(mask: &F, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut names: Vec<String> = mask.iter_names().map(|(name, _)| name.to_owned()).collect();
    let unnamed = mask.bits() & !F::all().bits();
    if unnamed != 0 {
        names.push(format!("{unnamed:#x}"));
    }
    f.pad(&if names.is_empty() {
        "-".to_owned()
    } else {
        names.join("|")
    })
}

macro_rules! impl_mask {
    ($($mask:ty: $what:literal,)*) => {$(
        impl fmt::Display for $mask {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt_names(self, f)
            }
        }

        impl Serialize for $mask {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.iter_names().map(|(name, _)| name))
            }
        }

        /// Reads names separated by `,` or `|`, in either case; `-` and nothing are the empty mask.
        impl FromStr for $mask {
            type Err = String;

            fn from_str(s: &str) -> Result<Self, String> {
                let mut mask = Self::empty();
                for word in s.split([',', '|']).map(str::trim) {
                    if word.is_empty() || word == "-" {
                        continue;
                    }
                    let name = word.replace('-', "_").to_ascii_uppercase();
                    mask |= Self::from_name(&name)
                        .or_else(|| Self::from_name(&format!("VRAM_{name}")))
                        .ok_or_else(|| format!("unknown {} '{word}'", $what))?;
                }
                Ok(mask)
            }
        }
    )*};
}

impl_mask! {
    Domains: "domain",
    CreateFlags: "flag",
    Features: "feature",
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
        assert!("vram,disk".parse::<Domains>().is_err());
    }

    #[test]
    fn flags_may_leave_out_the_word_vram_and_use_hyphens() {
        assert_eq!(
            "contiguous,cpu-access-required".parse(),
            Ok(CreateFlags::VRAM_CONTIGUOUS | CreateFlags::CPU_ACCESS_REQUIRED)
        );
        assert_eq!("VRAM_CLEARED".parse(), Ok(CreateFlags::VRAM_CLEARED));
        assert!("cheap".parse::<CreateFlags>().is_err());
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
