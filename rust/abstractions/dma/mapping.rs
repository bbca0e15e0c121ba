// SPDX-License-Identifier: GPL-2.0

//! DMA mappings of the pages of a buffer.
//!
//! [`kernel::scatterlist::SGTable`] owns its pages and keeps an entry for each of their runs in a
//! table of its own. TTM owns the pages here, and a pair of addresses for each run is enough.

use core::{
    ops::Range,
    ptr::from_ref, //
};

use kernel::{
    device::{
        self,
        Bound, //
    },
    dma::DataDirection,
    page::PAGE_SIZE,
    prelude::*,
    sync::aref::ARef, //
};

use crate::bindings::raw as bindings;

/// Pages that [`together`] compares at a time. The compiler unrolls the loop over them.
const AT_ONCE: usize = 8;

/// Pages that are mapped for DMA. Dropping it unmaps them.
///
/// TTM's pool allocates the pages of a buffer in physically contiguous blocks of up to a few MiB.
/// Each run of contiguous pages is mapped at once, and only the ranges are stored, not an address
/// for each page.
///
/// # Invariants
///
/// Each of `ranges` is one DMA mapping for `dev`.
pub(crate) struct Mapping {
    dev: ARef<device::Device>,
    ranges: KVVec<Range<u64>>,
}

impl Mapping {
    /// Maps `pages` (`dma_map_page()`).
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    ///
    /// # Safety
    ///
    /// The pages must be allocated, and stay so until the mapping is dropped; so must `dev` stay
    /// bound.
    pub(crate) unsafe fn new(
        dev: &device::Device<Bound>,
        pages: &[*mut bindings::page],
    ) -> Result<Self> {
        let mut this = Self {
            dev: dev.into(),
            ranges: KVVec::new(),
        };
        let mut rest = pages;

        while let Some(&first) = rest.first() {
            let count = together(rest);
            let bytes = count * PAGE_SIZE;

            this.ranges.reserve(1, GFP_KERNEL)?;
            // SAFETY: By this function's requirements; each page's structure follows upon that of
            // the page before it, and so do these pages.
            let start = unsafe {
                let dev = this.dev();
                let start = bindings::dma_map_page_attrs(
                    dev,
                    first,
                    0,
                    bytes,
                    DataDirection::Bidirectional.into(),
                    0,
                );

                if bindings::dma_mapping_error(dev, start) != 0 {
                    return Err(ENOMEM);
                }
                start
            };

            // INVARIANT: Just mapped.
            this.ranges.push(start..start + bytes as u64, GFP_KERNEL)?;
            rest = rest.get(count..).unwrap_or_default();
        }
        Ok(this)
    }

    /// The bus addresses, in the order of the pages.
    pub(crate) fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }

    fn dev(&self) -> *mut bindings::device {
        from_ref::<device::Device>(&self.dev).cast_mut().cast()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        for range in &self.ranges {
            // SAFETY: By the type invariant and the requirements of `new`.
            unsafe {
                bindings::dma_unmap_page_attrs(
                    self.dev(),
                    range.start,
                    (range.end - range.start) as usize,
                    DataDirection::Bidirectional.into(),
                    0,
                )
            };
        }
    }
}

/// The number of pages, from the first on, that are physically contiguous.
fn together(pages: &[*mut bindings::page]) -> usize {
    let Some(&first) = pages.first() else {
        return 0;
    };
    let is_there = |index: usize, page: *mut bindings::page| page == first.wrapping_add(index);

    let groups = pages
        .chunks_exact(AT_ONCE)
        .enumerate()
        .take_while(|(number, group)| {
            (0..AT_ONCE).all(|index| is_there(number * AT_ONCE + index, group[index]))
        })
        .count();
    let mut count = groups * AT_ONCE;
    while pages.get(count).is_some_and(|&page| is_there(count, page)) {
        count += 1;
    }
    count
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../../tests/kunit/abstractions/dma/mapping.rs"]
mod kunit;
