// SPDX-License-Identifier: GPL-2.0

//! Mappings for DMA: which pages are mapped together, and that all of them are.

use kernel::page::Page;

use super::*;
use crate::kunit::device;

type Pages = KVec<*mut bindings::page>;

/// Pages that are next to each other, of which nothing but the addresses is there.
fn run(first: usize, count: usize) -> impl Iterator<Item = *mut bindings::page> {
    let zero = core::ptr::without_provenance_mut::<bindings::page>(1 << 20);

    (first..first + count).map(move |index| zero.wrapping_add(index))
}

fn collect(pages: impl Iterator<Item = *mut bindings::page>) -> Result<Pages> {
    let mut all = Pages::new();

    for page in pages {
        all.push(page, GFP_KERNEL)?;
    }
    Ok(all)
}

#[kunit_tests(pddgpu_mapping)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq, //
    };

    #[test]
    fn nothing_has_nothing_together() -> Result {
        check_eq!(together(&[]), 0);
        Ok(())
    }

    #[test]
    fn all_of_a_run_are_together() -> Result {
        for count in 1..5 * AT_ONCE {
            check_eq!(together(&collect(run(0, count))?), count, "{} pages", count);
        }
        Ok(())
    }

    /// Wherever it is in the groups that are looked at in one go.
    #[test]
    fn a_gap_ends_a_run() -> Result {
        for before in 1..3 * AT_ONCE {
            for after in 1..2 * AT_ONCE {
                for gap in [1, 2, AT_ONCE] {
                    let pages = Iterator::chain(run(0, before), run(before + gap, after));

                    check_eq!(
                        together(&collect(pages)?),
                        before,
                        "{} pages, {} missing, {} pages",
                        before,
                        gap,
                        after
                    );
                }
            }
        }
        Ok(())
    }

    #[test]
    fn a_page_that_comes_again_ends_a_run() -> Result {
        for before in 1..3 * AT_ONCE {
            for again in [0, before - 1] {
                let pages = Iterator::chain(run(0, before), run(again, AT_ONCE));

                check_eq!(
                    together(&collect(pages)?),
                    before,
                    "{} after {}",
                    again,
                    before
                );
            }
        }
        Ok(())
    }

    #[test]
    fn pages_in_the_wrong_order_are_alone() -> Result {
        let mut pages = collect(run(0, 3 * AT_ONCE))?;

        pages.reverse();
        for start in 0..pages.len() {
            check_eq!(together(&pages[start..]), 1, "from {}", start);
        }
        Ok(())
    }

    /// DMA_API_DEBUG tells whether it is given back as it was mapped.
    #[test]
    fn every_page_is_mapped_once() -> Result {
        let faux = device::reachable()?;

        for count in [0, 1, 2, AT_ONCE, 3 * AT_ONCE + 1] {
            let mut all = KVec::new();
            let mut pages = Pages::new();

            for _ in 0..count {
                let page = Page::alloc_page(GFP_KERNEL)?;

                pages.push(page.as_ptr(), GFP_KERNEL)?;
                all.push(page, GFP_KERNEL)?;
            }

            // SAFETY: The pages and the device are dropped after the mapping.
            let mapping = unsafe { Mapping::new(faux.as_ref().as_ref(), &pages)? };
            let mut rest = &pages[..];
            for range in mapping.ranges() {
                let expected = together(rest);

                check_eq!(
                    range.end - range.start,
                    (expected * PAGE_SIZE) as u64,
                    "{} pages",
                    count
                );
                rest = &rest[expected..];
            }
            check!(rest.is_empty(), "{} pages", count);
        }
        Ok(())
    }
}
