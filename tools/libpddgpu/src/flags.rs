// SPDX-License-Identifier: GPL-2.0

//! What may be asked of a buffer, and what a card can do.

use bitflags::bitflags;

use crate::{mask, raw};

bitflags! {
    /// What is asked of a buffer at its creation.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct CreateFlags: u32 {
        /// While in VRAM, the buffer lies wholly inside the CPU's aperture.
        const CPU_ACCESS_REQUIRED = raw::PDDGPU_GEM_CREATE_CPU_ACCESS_REQUIRED;
        /// The buffer can never be mapped by the CPU.
        const NO_CPU_ACCESS = raw::PDDGPU_GEM_CREATE_NO_CPU_ACCESS;
        /// The program relies on VRAM being zeroed first. It always is.
        const VRAM_CLEARED = raw::PDDGPU_GEM_CREATE_VRAM_CLEARED;
        /// While in VRAM, the buffer is one range of addresses.
        const VRAM_CONTIGUOUS = raw::PDDGPU_GEM_CREATE_VRAM_CONTIGUOUS;
    }

    /// What a card can do besides holding memory.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Features: u32 {
        /// The card translates addresses in the GTT window.
        const GART = raw::DRM_PDDGPU_FEATURE_GART;
        /// The card copies memory.
        const COPY = raw::DRM_PDDGPU_FEATURE_COPY;
        /// The card fills memory with a value.
        const FILL = raw::DRM_PDDGPU_FEATURE_FILL;
        /// The card reports uncorrectable memory errors.
        const ECC = raw::DRM_PDDGPU_FEATURE_ECC;
    }
}

mask::impl_text! {
    CreateFlags: "flag",
    Features: "feature",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_may_leave_out_the_word_vram_and_use_hyphens() {
        assert_eq!(
            "contiguous,cpu-access-required".parse(),
            Ok(CreateFlags::VRAM_CONTIGUOUS | CreateFlags::CPU_ACCESS_REQUIRED)
        );
        assert_eq!("VRAM_CLEARED".parse(), Ok(CreateFlags::VRAM_CLEARED));
        assert!("cheap".parse::<CreateFlags>().is_err());
    }
}
