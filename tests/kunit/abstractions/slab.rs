// SPDX-License-Identifier: GPL-2.0

//! Slab caches: what memory they give, and to whom.

use super::*;

/// Of a size that `kmalloc()` would round up.
type Value = [u64; 82];

#[kunit_tests(pddgpu_slab)]
mod tests {
    use super::*;
    use crate::kunit::check_eq;

    #[test]
    fn memory_is_zeroed_aligned_and_the_values_own() -> Result {
        let cache = Cache::new::<Value>(c"kunit")?;
        let mut all = KVec::new();

        for number in 0..100u64 {
            // SAFETY: Dropped before the cache.
            let memory = unsafe { cache.alloc_zeroed::<Value>() }?;
            // SAFETY: Zeroes are a value.
            let mut value = unsafe { memory.assume_init() };

            check_eq!(*value, [0; 82], "{}", number);
            *value = [number + 1; 82];
            all.push(value, GFP_KERNEL)?;
        }
        for (number, value) in all.iter().enumerate() {
            check_eq!(**value, [number as u64 + 1; 82], "{}", number);
        }
        Ok(())
    }

    #[test]
    fn a_cache_is_for_one_layout() -> Result {
        let cache = Cache::new::<Value>(c"kunit")?;

        // SAFETY: There is no result.
        check_eq!(unsafe { cache.alloc_zeroed::<u64>() }.err(), Some(EINVAL));
        Ok(())
    }

    #[test]
    fn there_may_be_many_of_a_name() -> Result {
        let _caches = [
            Cache::new::<Value>(c"kunit")?,
            Cache::new::<Value>(c"kunit")?,
            Cache::new::<u32>(c"kunit")?,
        ];
        Ok(())
    }
}
