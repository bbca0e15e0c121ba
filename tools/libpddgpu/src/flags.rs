// SPDX-License-Identifier: GPL-2.0

//! What may be asked of a buffer, what a card can do, and what a client can be told.

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

    /// Kinds of events.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Events: u32 {
        /// The budget of VRAM has changed.
        const BUDGET = raw::DRM_PDDGPU_EVENT_BIT_BUDGET;
        /// A buffer that should be in VRAM has left it.
        const DISPLACED = raw::DRM_PDDGPU_EVENT_BIT_DISPLACED;
        /// A buffer has come to VRAM, where it should be.
        const RETURNED = raw::DRM_PDDGPU_EVENT_BIT_RETURNED;
        /// The content of a buffer was dropped.
        const PURGED = raw::DRM_PDDGPU_EVENT_BIT_PURGED;
        /// The content of a buffer was lost with the card's memory.
        const LOST = raw::DRM_PDDGPU_EVENT_BIT_LOST;
        /// The copy engine is broken for good.
        const GIVEN_UP = raw::DRM_PDDGPU_EVENT_BIT_GIVEN_UP;
    }
}

mask::impl_text! {
    CreateFlags: "flag",
    Features: "feature",
    Events: "event",
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
