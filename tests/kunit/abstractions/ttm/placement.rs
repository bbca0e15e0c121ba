// SPDX-License-Identifier: GPL-2.0

//! Places: what TTM reads from them, and which pages they allow.

use kernel::prelude::*;

use super::*;

impl Place {
    /// Only from page `first` of the memory upwards.
    pub(crate) const fn above(mut self, first: u64) -> Self {
        self.0.fpfn = first;
        self
    }
}

#[kunit_tests(pddgpu_placement)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq, //
    };

    const ALL: [MemType; 3] = [MemType::System, MemType::Tt, MemType::Vram];

    #[test]
    fn memory_types_are_ttms() -> Result {
        for mem_type in ALL {
            check_eq!(MemType::from_raw(mem_type.as_raw()), Some(mem_type));
            check_eq!(
                Place::anywhere(mem_type).into_raw().mem_type,
                mem_type.as_raw()
            );
        }
        for raw in [
            bindings::TTM_PL_VRAM + 1,
            bindings::TTM_PL_PRIV,
            7,
            u32::MAX,
        ] {
            check_eq!(MemType::from_raw(raw), None, "{}", raw);
        }
        Ok(())
    }

    #[test]
    fn ranges() -> Result {
        for (first, end, size, expected) in [
            (0, 0, 100, 0..100),
            (0, 1, 100, 0..1),
            (0, 99, 100, 0..99),
            (0, 100, 100, 0..100),
            (0, 101, 100, 0..100),
            (0, u64::MAX, 100, 0..100),
            (10, 0, 100, 10..100),
            (10, 20, 100, 10..20),
            (10, 10, 100, 10..10),
            (100, 0, 100, 100..100),
            (0, 0, 0, 0..0),
        ] {
            let place = Place::anywhere(MemType::Vram).above(first).below(end);

            check_eq!(
                place.range(size),
                expected,
                "{} to {} of {}",
                first,
                end,
                size
            );
        }
        Ok(())
    }

    /// Every flag can be told from every other, whatever else is set.
    #[test]
    fn flags() -> Result {
        for mask in 0..16u32 {
            let mut place = Place::anywhere(MemType::Vram);

            if mask & 1 != 0 {
                place = place.contiguous();
            }
            if mask & 2 != 0 {
                place = place.topdown();
            }
            if mask & 4 != 0 {
                place = place.temporary();
            }
            if mask & 8 != 0 {
                place = place.desired();
            }
            check_eq!(place.is_contiguous(), mask & 1 != 0, "mask {}", mask);
            check_eq!(place.is_topdown(), mask & 2 != 0, "mask {}", mask);
            check_eq!(place.is_temporary(), mask & 4 != 0, "mask {}", mask);
            check_eq!(
                place.into_raw().flags & bindings::TTM_PL_FLAG_DESIRED != 0,
                mask & 8 != 0,
                "mask {}",
                mask
            );
            check_eq!(
                place.into_raw().flags.count_ones(),
                mask.count_ones(),
                "mask {}",
                mask
            );
            check_eq!(place.range(5), 0..5);
        }
        Ok(())
    }

    #[test]
    fn placements_point_to_their_places() -> Result {
        let places = ALL.map(Place::anywhere);

        for len in 0..=places.len() {
            let raw = placement(&places[..len]);

            check_eq!(raw.num_placement as usize, len);
            check!(raw.placement.cast() == places.as_ptr());
        }
        Ok(())
    }

    #[test]
    fn a_place_outside_the_memory_has_no_pages() -> Result {
        for (first, end, size) in [
            (101, 0, 100),
            (101, 200, 100),
            (u64::MAX, 0, 100),
            (50, 20, 100),
            (50, 50, 100),
            (0, 10, 0),
        ] {
            let place = Place::anywhere(MemType::Tt).above(first).below(end);

            check!(
                place.range(size).is_empty(),
                "{} to {} of {}",
                first,
                end,
                size
            );
        }
        Ok(())
    }

    /// In whatever order it is said.
    #[test]
    fn limits_and_flags_leave_each_other_alone() -> Result {
        for place in [
            Place::anywhere(MemType::Vram)
                .above(3)
                .below(7)
                .topdown()
                .contiguous(),
            Place::anywhere(MemType::Vram)
                .topdown()
                .above(3)
                .contiguous()
                .below(7),
            // The last limit holds; to say it twice is to say it once.
            Place::anywhere(MemType::Vram)
                .contiguous()
                .topdown()
                .topdown()
                .below(100)
                .above(3)
                .below(7),
        ] {
            check_eq!(place.range(1000), 3..7);
            check!(place.is_topdown() && place.is_contiguous());
            check!(!place.is_temporary());
            check_eq!(place.into_raw().mem_type, bindings::TTM_PL_VRAM);
        }
        Ok(())
    }
}
