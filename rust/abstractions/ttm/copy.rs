// SPDX-License-Identifier: GPL-2.0

//! Buffers' content under the CPU's hands: page by page, through the kernel's mapping for pages and
//! through the aperture for memory on the device.

use core::ops::Range;

use kernel::{
    device::{
        self,
        Bound, //
    },
    error::to_result,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*, //
};

use crate::{
    abstractions::ttm::{
        ctx::OperationCtx,
        driver::Driver,
        reserved::Locked,
        resource::Resource,
        types::DrmDevice, //
    },
    bindings::raw as bindings, //
};

/// Where in the aperture, in bytes, the CPU finds each page of a resource on the device; [`None`] for
/// those that it cannot reach.
pub(super) struct Pages<'a, T: Driver> {
    ranges: T::Ranges<'a>,
    /// What is left of the range that the next page is in.
    rest: Range<u64>,
    visible: u64,
}

impl<'a, T: Driver> Pages<'a, T> {
    /// The pages of `res`.
    pub(super) fn new(dev: &'a DrmDevice<T>, res: &'a Resource) -> Self {
        Self {
            ranges: T::ranges(dev, res),
            rest: 0..0,
            visible: T::aperture(dev).bar().size(),
        }
    }
}

impl<T: Driver> Iterator for Pages<'_, T> {
    type Item = Option<u64>;

    fn next(&mut self) -> Option<Option<u64>> {
        self.nth(0)
    }

    // Passes over whole ranges at once.
    fn nth(&mut self, n: usize) -> Option<Option<u64>> {
        let mut skip = n as u64 * PAGE_SIZE as u64;

        loop {
            let here = self.rest.end - self.rest.start;

            if skip < here {
                let offset = self.rest.start + skip;

                self.rest.start = offset + PAGE_SIZE as u64;
                return Some((offset < self.visible).then_some(offset));
            }
            skip -= here;
            self.rest = self.ranges.next()?;
        }
    }
}

/// The pages of a resource, one after the other.
pub(super) enum Backing<'a, T: Driver> {
    /// In a populated `ttm_tt` of the locked buffer, from this page on.
    Pages(*mut bindings::ttm_tt, usize),
    /// In a `ttm_tt` without pages: it is all zeroes.
    Nothing,
    /// On the device, which is bound.
    Device {
        dev: &'a DrmDevice<T>,
        parent: &'a device::Device<Bound>,
        pages: Pages<'a, T>,
    },
}

/// One page under the CPU's hands.
pub(super) struct Mapped {
    pub(super) map: bindings::iosys_map,
    local: bool,
}

impl Mapped {
    /// The kernel's address of the page.
    pub(super) fn vaddr(&self) -> *mut c_void {
        // SAFETY: Both variants are the same address.
        unsafe { self.map.__bindgen_anon_1.vaddr }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if self.local {
            // SAFETY: Mapped by `Backing::next()`; pages are unmapped in the opposite order, as the
            // caller's variables go.
            unsafe { bindings::kunmap_local(self.vaddr()) };
        }
    }
}

/// The pages of a resource of a locked buffer, from the first on.
pub(super) fn backing<'a, T: Driver>(
    bo: &'a Locked<'_, T>,
    res: &'a Resource,
    parent: &'a device::Device<Bound>,
) -> Backing<'a, T> {
    if !res.uses_tt() {
        return Backing::Device {
            dev: bo.dev(),
            parent,
            pages: Pages::new(bo.dev(), res),
        };
    }

    // SAFETY: resv is held, which protects `ttm`.
    let tt = unsafe { (*bo.as_ttm()).ttm };

    // SAFETY: resv is held, so the tt stays.
    if !tt.is_null() && unsafe { bindings::ttm_tt_is_populated(tt) } {
        Backing::Pages(tt, 0)
    } else {
        Backing::Nothing
    }
}

impl<T: Driver> Backing<'_, T> {
    /// Passes over `n` pages.
    pub(super) fn skip(&mut self, n: usize) {
        match self {
            Self::Nothing => (),
            Self::Pages(_, next) => *next += n,
            Self::Device { pages, .. } => {
                if let Some(last) = n.checked_sub(1) {
                    pages.nth(last);
                }
            }
        }
    }

    /// Maps the next page; [`None`] where there is nothing the CPU could reach.
    pub(super) fn next(&mut self) -> Result<Option<Mapped>> {
        let (vaddr, is_iomem) = match self {
            Self::Nothing => return Ok(None),
            Self::Pages(tt, next) => {
                // SAFETY: The pages stay as long as resv is held.
                let page = unsafe {
                    if *next >= (**tt).num_pages as usize {
                        return Err(EINVAL);
                    }
                    *(**tt).pages.add(*next)
                };

                *next += 1;
                // SAFETY: The page stays as long as resv is held.
                (unsafe { bindings::kmap_local_page(page) }, false)
            }
            Self::Device { dev, parent, pages } => {
                let Some(offset) = pages.next().ok_or(EINVAL)? else {
                    return Ok(None);
                };
                let address = T::aperture(dev)
                    .bar()
                    .address(parent, offset, PAGE_SIZE as u64)?;

                (address, true)
            }
        };

        Ok(Some(Mapped {
            map: bindings::iosys_map {
                __bindgen_anon_1: bindings::iosys_map__bindgen_ty_1 { vaddr },
                is_iomem,
            },
            local: !is_iomem,
        }))
    }
}

fn zero(page: &Mapped) {
    // SAFETY: A whole mapped page.
    unsafe {
        if page.map.is_iomem {
            bindings::memset_io(page.vaddr(), 0, PAGE_SIZE);
        } else {
            page.vaddr().cast::<u8>().write_bytes(0, PAGE_SIZE);
        }
    }
}

fn copy(to: &mut Mapped, from: &Mapped) {
    // SAFETY: Two whole mapped pages that are not the same: a buffer's two places do not overlap.
    unsafe {
        if from.map.is_iomem {
            bindings::drm_memcpy_from_wc(&mut to.map, &from.map, PAGE_SIZE as c_ulong);
        } else if to.map.is_iomem {
            bindings::memcpy_toio(to.vaddr(), from.vaddr(), PAGE_SIZE);
        } else {
            core::ptr::copy_nonoverlapping(
                from.vaddr().cast::<u8>(),
                to.vaddr().cast::<u8>(),
                PAGE_SIZE,
            );
        }
    }
}

/// Copies the content of an idle buffer to `new`, which is to be its next place.
///
/// # Errors
///
/// `ENODEV` once the device is unplugged; `EINVAL` if there is content for memory that the CPU
/// cannot reach; `ENOMEM`; `ERESTARTSYS` on a signal. The old place is left as it was.
pub(super) fn content<T: Driver>(
    bo: &Locked<'_, T>,
    new: &Resource,
    ctx: &mut OperationCtx,
) -> Result {
    let Some(old) = bo.resource() else {
        return Err(EINVAL);
    };
    // SAFETY: resv is held. Pages that were backed up come back, and those to be copied to are
    // made.
    unsafe {
        let tt = (*bo.as_ttm()).ttm;

        if !tt.is_null() && (bindings::ttm_tt_is_backed_up(tt) || new.uses_tt()) {
            to_result(bindings::ttm_bo_populate(bo.as_ttm(), ctx.as_raw()))?;
        }
    }

    let entered = bo.dev().enter()?;
    let _open = T::aperture(bo.dev()).hold_open();
    let mut from = backing(bo, old, entered.parent());
    let mut to = backing(bo, new, entered.parent());

    for _ in 0..bo.object().size() >> PAGE_SHIFT {
        let from = from.next()?;

        match (to.next()?, &from) {
            (Some(mut to), Some(from)) => copy(&mut to, from),
            (Some(to), None) => zero(&to),
            (None, None) => (),
            (None, Some(_)) => return Err(EINVAL),
        }
    }
    Ok(())
}

impl<T: Driver> Locked<'_, T> {
    /// Zeroes what the CPU can reach of a buffer on the device; pages come zeroed.
    ///
    /// # Errors
    ///
    /// `ENODEV` once the device is unplugged; `EBUSY` and `ERESTARTSYS` from waiting for the memory's
    /// former use to end.
    pub(crate) fn clear(&self, ctx: &mut OperationCtx) -> Result {
        self.wait(ctx)?;

        let Some(res) = self.resource() else {
            return Ok(());
        };
        if res.uses_tt() {
            return Ok(());
        }

        let entered = self.dev().enter()?;
        let _open = T::aperture(self.dev()).hold_open();
        let mut backing = backing(self, res, entered.parent());

        for _ in 0..self.object().size() >> PAGE_SHIFT {
            if let Some(page) = backing.next()? {
                zero(&page);
            }
        }
        Ok(())
    }
}
