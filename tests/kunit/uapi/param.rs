// SPDX-License-Identifier: GPL-2.0

//! Buffer objects: what user space may ask for.

use kernel::prelude::*;

use super::*;

const PAGE: u64 = PAGE_SIZE as u64;
const CPU: u32 = uapi::PDDGPU_GEM_DOMAIN_CPU;
const GTT: u32 = uapi::PDDGPU_GEM_DOMAIN_GTT;
const VRAM: u32 = uapi::PDDGPU_GEM_DOMAIN_VRAM;
const ALL_DOMAINS: u32 = CPU | GTT | VRAM;
const ACCESS: u32 = uapi::PDDGPU_GEM_CREATE_CPU_ACCESS_REQUIRED;
const NO_ACCESS: u32 = uapi::PDDGPU_GEM_CREATE_NO_CPU_ACCESS;
const CLEARED: u32 = uapi::PDDGPU_GEM_CREATE_VRAM_CLEARED;
const CONTIGUOUS: u32 = uapi::PDDGPU_GEM_CREATE_VRAM_CONTIGUOUS;
const ALL_FLAGS: u32 = ACCESS | NO_ACCESS | CLEARED | CONTIGUOUS;

/// Sizes asked for, and those of the buffers.
const SIZES: [(u64, Option<u64>); 20] = [
    (0, None),
    (1, Some(PAGE)),
    (2, Some(PAGE)),
    (PAGE - 1, Some(PAGE)),
    (PAGE, Some(PAGE)),
    (PAGE + 1, Some(2 * PAGE)),
    (2 * PAGE - 1, Some(2 * PAGE)),
    (2 * PAGE, Some(2 * PAGE)),
    (12345, Some(4 * PAGE)),
    (SZ_1M as u64, Some(SZ_1M as u64)),
    (MAX_CPU_SIZE, Some(MAX_CPU_SIZE)),
    (MAX_CPU_SIZE + 1, Some(MAX_CPU_SIZE + PAGE)),
    (u32::MAX as u64, Some(1 << 32)),
    (1 << 32, Some(1 << 32)),
    (1 << 63, Some(1 << 63)),
    (i64::MAX as u64, Some(1 << 63)),
    (u64::MAX - PAGE, Some(u64::MAX - PAGE + 1)),
    (u64::MAX - PAGE + 1, Some(u64::MAX - PAGE + 1)),
    (u64::MAX - PAGE + 2, None),
    (u64::MAX, None),
];

/// Alignments in bytes, and what comes of them in pages.
const ALIGNMENTS: [(u64, Option<u32>); 22] = [
    (0, Some(1)),
    (1, Some(1)),
    (2, Some(1)),
    (3, None),
    (64, Some(1)),
    (PAGE / 2, Some(1)),
    (PAGE - 1, None),
    (PAGE, Some(1)),
    (PAGE + 1, None),
    (2 * PAGE, Some(2)),
    (3 * PAGE, None),
    (4 * PAGE, Some(4)),
    (SZ_64K as u64, Some(16)),
    (SZ_512K as u64, Some(128)),
    (MAX_ALIGNMENT - 1, None),
    (MAX_ALIGNMENT, Some(256)),
    (MAX_ALIGNMENT + 1, None),
    (2 * MAX_ALIGNMENT, None),
    (1 << 32, None),
    (1 << 44, None),
    (1 << 63, None),
    (u64::MAX, None),
];

#[kunit_tests(pddgpu_bo_param)]
mod tests {
    use super::*;
    use crate::kunit::check_eq;

    #[test]
    fn sizes_are_rounded_up_to_pages() -> Result {
        for (size, expected) in SIZES {
            let param = BoParam::new(size, 0, VRAM, 0);

            check_eq!(
                param.as_ref().map(|param| param.size).ok(),
                expected,
                "size {:#x}",
                size
            );
            if expected.is_none() {
                check_eq!(param.err(), Some(EINVAL), "size {:#x}", size);
            }
        }
        Ok(())
    }

    #[test]
    fn alignments_are_powers_of_two_up_to_a_limit() -> Result {
        for (alignment, expected) in ALIGNMENTS {
            let param = BoParam::new(PAGE, alignment, VRAM, 0);

            check_eq!(
                param.as_ref().map(|param| param.alignment).ok(),
                expected,
                "alignment {:#x}",
                alignment
            );
            if expected.is_none() {
                check_eq!(param.err(), Some(EINVAL), "alignment {:#x}", alignment);
            }
        }
        Ok(())
    }

    #[test]
    fn unknown_domains_are_refused() -> Result {
        for bit in 0..32 {
            let domain = 1u32 << bit;
            let known = ALL_DOMAINS & domain != 0;

            check_eq!(
                BoParam::new(PAGE, 0, domain, 0).is_ok(),
                known,
                "domain {:#x}",
                domain
            );
            check_eq!(
                BoParam::new(PAGE, 0, domain | VRAM, 0).is_ok(),
                known,
                "domain {:#x} and VRAM",
                domain
            );
        }
        check_eq!(BoParam::new(PAGE, 0, 0, 0).err(), Some(EINVAL));
        check_eq!(BoParam::new(PAGE, 0, u32::MAX, 0).err(), Some(EINVAL));
        Ok(())
    }

    #[test]
    fn unknown_flags_are_refused() -> Result {
        for bit in 0..32 {
            let flag = 1u32 << bit;
            let known = ALL_FLAGS & flag != 0;

            check_eq!(
                BoParam::new(PAGE, 0, VRAM, flag).is_ok(),
                known,
                "flag {:#x}",
                flag
            );
            check_eq!(
                BoParam::new(PAGE, 0, VRAM, flag | CLEARED).is_ok(),
                known,
                "flag {:#x} and cleared",
                flag
            );
        }
        check_eq!(BoParam::new(PAGE, 0, VRAM, u32::MAX).err(), Some(EINVAL));
        Ok(())
    }

    /// Every size with every alignment, domains and flags: one bad part makes all of it bad, and good
    /// parts do not change each other.
    #[test]
    fn every_combination() -> Result {
        for (size, size_expected) in SIZES {
            for (alignment, alignment_expected) in ALIGNMENTS {
                for domains in 0..=ALL_DOMAINS + 1 {
                    for flags in 0..=ALL_FLAGS + 1 {
                        let expected = size_expected.zip(alignment_expected).filter(|_| {
                            domains != 0
                                && domains & !ALL_DOMAINS == 0
                                && flags & !ALL_FLAGS == 0
                                && flags & (ACCESS | NO_ACCESS) != (ACCESS | NO_ACCESS)
                        });
                        let param = BoParam::new(size, alignment, domains, flags);

                        check_eq!(
                            param
                                .as_ref()
                                .map(|param| (param.size, param.alignment))
                                .ok(),
                            expected,
                            "size {:#x} alignment {:#x} domains {:#x} flags {:#x}",
                            size,
                            alignment,
                            domains,
                            flags
                        );
                        if let Ok(param) = param {
                            check_eq!(u32::from(param.domains), domains);
                            check_eq!(u32::from(param.flags), flags);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    #[test]
    fn one_domain_is_one_bit() -> Result {
        for mask in 0..=2 * ALL_DOMAINS {
            let expected = match mask {
                CPU => Ok(Domain::Cpu),
                GTT => Ok(Domain::Gtt),
                VRAM => Ok(Domain::Vram),
                _ => Err(EINVAL),
            };

            check_eq!(Domain::try_from(mask), expected, "mask {:#x}", mask);
        }
        check_eq!(Domain::try_from(u32::MAX), Err(EINVAL));
        Ok(())
    }

    #[test]
    fn domains_have_names_and_memory() -> Result {
        for (domains, name) in [
            (0, "-"),
            (CPU, "CPU"),
            (GTT, "GTT"),
            (GTT | CPU, "GTT|CPU"),
            (VRAM, "VRAM"),
            (VRAM | CPU, "VRAM|CPU"),
            (VRAM | GTT, "VRAM|GTT"),
            (VRAM | GTT | CPU, "VRAM|GTT|CPU"),
        ] {
            check_eq!(
                Domains::parse(domains)?.name(),
                name,
                "domains {:#x}",
                domains
            );
        }
        for (domain, name, mem_type) in [
            (Domain::Cpu, "CPU", MemType::System),
            (Domain::Gtt, "GTT", MemType::Tt),
            (Domain::Vram, "VRAM", MemType::Vram),
        ] {
            check_eq!(domain.name(), name);
            check_eq!(domain.mem_type(), mem_type);
        }
        Ok(())
    }

    #[test]
    fn every_flag_is_named_once() -> Result {
        let mut mask = 0;

        for (flag, name) in CreateFlag::ALL {
            check_eq!(mask & flag as u32, 0, "{}", name);
            mask |= flag as u32;
        }
        check_eq!(mask, ALL_FLAGS);
        check_eq!(mask, CreateFlags::all_bits());
        Ok(())
    }
}
