// SPDX-License-Identifier: GPL-2.0

//! The arguments of GEM_CREATE, checked: size, alignment, domains and flags.

use kernel::{
    impl_flags,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    sizes::*, //
};

use crate::{
    abstractions::ttm::{
        MemType,
        Resource, //
    },
    bindings::uapi, //
};

/// Bytes of the largest buffer in the CPU domain.
pub(crate) const MAX_CPU_SIZE: u64 = u64::SZ_1G;
/// Bytes of the largest alignment.
pub(crate) const MAX_ALIGNMENT: u64 = u64::SZ_1M;

impl_flags!(
    /// A mask of domains.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct Domains(u32);

    /// Where a buffer may live: `PDDGPU_GEM_DOMAIN_*`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Domain {
        Cpu = uapi::PDDGPU_GEM_DOMAIN_CPU,
        Gtt = uapi::PDDGPU_GEM_DOMAIN_GTT,
        Vram = uapi::PDDGPU_GEM_DOMAIN_VRAM,
    }
);

impl Domain {
    /// All domains, in order of preference.
    pub(crate) const ALL: [Self; 3] = [Self::Vram, Self::Gtt, Self::Cpu];

    /// The kind of memory TTM knows it as.
    pub(crate) fn mem_type(self) -> MemType {
        match self {
            Self::Cpu => MemType::System,
            Self::Gtt => MemType::Tt,
            Self::Vram => MemType::Vram,
        }
    }

    /// The domain a resource is in.
    pub(crate) fn from_resource(res: &Resource) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|domain| res.mem_type() == Some(domain.mem_type()))
    }

    /// Its place in [`Domain::ALL`].
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Vram => 0,
            Self::Gtt => 1,
            Self::Cpu => 2,
        }
    }

    /// Its name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "CPU",
            Self::Gtt => "GTT",
            Self::Vram => "VRAM",
        }
    }
}

impl Domains {
    /// The domain that is preferred to all others of the mask.
    pub(crate) fn preferred(self) -> Option<Domain> {
        Domain::ALL
            .into_iter()
            .find(|domain| self.contains(*domain))
    }

    /// The mask as user space gives it; `EINVAL` for unknown bits.
    fn parse(mask: u32) -> Result<Self> {
        if mask & !Self::all_bits() != 0 {
            return Err(EINVAL);
        }
        Ok(Self(mask))
    }

    /// Its names in reports, with `|` between them.
    pub(crate) fn name(self) -> &'static str {
        let has = |domain| self.contains(domain);

        match (has(Domain::Vram), has(Domain::Gtt), has(Domain::Cpu)) {
            (true, true, true) => "VRAM|GTT|CPU",
            (true, true, false) => "VRAM|GTT",
            (true, false, true) => "VRAM|CPU",
            (true, false, false) => "VRAM",
            (false, true, true) => "GTT|CPU",
            (false, true, false) => "GTT",
            (false, false, true) => "CPU",
            (false, false, false) => "-",
        }
    }
}

impl TryFrom<u32> for Domain {
    type Error = Error;

    /// One domain as user space gives it; `EINVAL` for anything else.
    fn try_from(bit: u32) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|domain| *domain as u32 == bit)
            .ok_or(EINVAL)
    }
}

impl_flags!(
    /// A mask of creation flags.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct CreateFlags(u32);

    /// A property of a new buffer: `PDDGPU_GEM_CREATE_*`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum CreateFlag {
        CpuAccessRequired = uapi::PDDGPU_GEM_CREATE_CPU_ACCESS_REQUIRED,
        NoCpuAccess = uapi::PDDGPU_GEM_CREATE_NO_CPU_ACCESS,
        VramCleared = uapi::PDDGPU_GEM_CREATE_VRAM_CLEARED,
        VramContiguous = uapi::PDDGPU_GEM_CREATE_VRAM_CONTIGUOUS,
    }
);

impl CreateFlags {
    /// The mask as user space gives it; `EINVAL` for unknown bits.
    fn parse(mask: u32) -> Result<Self> {
        if mask & !Self::all_bits() != 0 {
            return Err(EINVAL);
        }
        Ok(Self(mask))
    }
}

impl CreateFlag {
    /// All of them with their names in reports.
    pub(crate) const ALL: [(Self, &'static str); 4] = [
        (Self::CpuAccessRequired, "CPU_ACCESS_REQUIRED"),
        (Self::NoCpuAccess, "NO_CPU_ACCESS"),
        (Self::VramCleared, "VRAM_CLEARED"),
        (Self::VramContiguous, "VRAM_CONTIGUOUS"),
    ];
}

/// Checked arguments of a creation.
#[derive(Clone, Copy)]
pub(crate) struct BoParam {
    /// Size in bytes: a multiple of the page size, and not 0.
    pub(crate) size: u64,
    /// Alignment in pages: a power of two.
    pub(crate) alignment: u32,
    /// The domains the buffer may be created in: at least one.
    pub(crate) domains: Domains,
    /// Flags that do not contradict each other.
    pub(crate) flags: CreateFlags,
}

impl BoParam {
    /// Checks a size in bytes, an alignment in bytes, and two masks, all from user space.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a size of 0 or one that overflows when rounded up, an alignment that is no
    /// power of two or too large, no domain, an unknown domain or flag, or flags that contradict
    /// each other.
    pub(crate) fn new(size: u64, alignment: u64, domains: u32, flags: u32) -> Result<Self> {
        let domains = Domains::parse(domains)?;
        let flags = CreateFlags::parse(flags)?;
        let alignment = match alignment {
            0 => PAGE_SIZE as u64,
            alignment => alignment,
        };

        if size == 0
            || domains == Domains::default()
            || !alignment.is_power_of_two()
            || alignment > MAX_ALIGNMENT
            || flags.contains_all(CreateFlag::CpuAccessRequired | CreateFlag::NoCpuAccess)
        {
            return Err(EINVAL);
        }

        Ok(Self {
            size: size
                .checked_next_multiple_of(PAGE_SIZE as u64)
                .ok_or(EINVAL)?,
            alignment: u32::try_from(alignment.max(PAGE_SIZE as u64) >> PAGE_SHIFT)?,
            domains,
            flags,
        })
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/uapi/param.rs"]
mod kunit;
