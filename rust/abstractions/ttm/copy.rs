// SPDX-License-Identifier: GPL-2.0

//! Copying, clearing and accessing the content of buffers with the CPU.
//!
//! It is done page by page: system pages through the kernel's direct mapping, and memory on the
//! device through the aperture.

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

/// The byte offset in the aperture of each page of a resource on the device; [`None`] for a page
/// outside of the aperture.
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

/// An iterator over the pages of a resource.
pub(super) enum Backing<'a, T: Driver> {
    /// The pages of a populated `ttm_tt` of the locked buffer, from this index on.
    Pages(*mut bindings::ttm_tt, usize),
    /// A `ttm_tt` that is not populated. Its content is all zeroes.
    Nothing,
    /// Memory on the device.
    Device {
        dev: &'a DrmDevice<T>,
        pages: Pages<'a, T>,
    },
}

/// A page that is mapped for the CPU.
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
pub(super) fn backing<'a, T: Driver>(bo: &'a Locked<'_, T>, res: &'a Resource) -> Backing<'a, T> {
    if !res.uses_tt() {
        return Backing::Device {
            dev: bo.dev(),
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
    /// Skips `n` pages.
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

    /// Maps the next page, as long as `parent`, the device, is bound. Returns [`None`] for a page that
    /// does not exist or that the CPU cannot access.
    pub(super) fn next(&mut self, parent: &device::Device<Bound>) -> Result<Option<Mapped>> {
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
            Self::Device { dev, pages } => {
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

/// Pages for which the aperture is held open, and an unplug waits.
const PIECE: u64 = 256;

/// Calls `f` for each page of a buffer, with the aperture held open.
///
/// # Errors
///
/// Those of `f`; `ENODEV` once the device is unplugged; `ERESTARTSYS` for a process that is killed.
fn for_each_page<T: Driver>(
    bo: &Locked<'_, T>,
    ctx: &OperationCtx,
    mut f: impl FnMut(&device::Device<Bound>) -> Result,
) -> Result {
    let mut left = bo.object().size() >> PAGE_SHIFT;

    while left > 0 {
        ctx.check_killed()?;

        let entered = bo.dev().enter()?;
        let _open = T::aperture(bo.dev()).hold_open();
        let piece = left.min(PIECE);

        for _ in 0..piece {
            f(entered.parent())?;
        }
        left -= piece;
    }
    Ok(())
}

/// Copies the content of an idle buffer to `new`, its next resource.
///
/// # Errors
///
/// `ENODEV` once the device is unplugged; `EINVAL` if content would have to go to memory that the
/// CPU cannot access; `ENOMEM`; `ERESTARTSYS` for a process that is killed. The present resource is
/// not changed.
pub(super) fn content<T: Driver>(
    bo: &Locked<'_, T>,
    new: &Resource,
    ctx: &mut OperationCtx,
) -> Result {
    let Some(old) = bo.resource() else {
        return Err(EINVAL);
    };
    // SAFETY: resv is held. This restores pages that were backed up, and allocates those that are
    // copied to.
    unsafe {
        let tt = (*bo.as_ttm()).ttm;

        if !tt.is_null() && (bindings::ttm_tt_is_backed_up(tt) || new.uses_tt()) {
            to_result(bindings::ttm_bo_populate(bo.as_ttm(), ctx.as_raw()))?;
        }
    }

    let mut from = backing(bo, old);
    let mut to = backing(bo, new);

    for_each_page(bo, ctx, |parent| {
        let from = from.next(parent)?;

        match (to.next(parent)?, &from) {
            (Some(mut to), Some(from)) => copy(&mut to, from),
            (Some(to), None) => zero(&to),
            (None, None) => (),
            (None, Some(_)) => return Err(EINVAL),
        }
        Ok(())
    })
}

impl<T: Driver> Locked<'_, T> {
    /// Zeroes a buffer on the device, as far as it is inside the aperture. System pages are
    /// allocated zeroed, so there is nothing to do for them.
    ///
    /// # Errors
    ///
    /// `ENODEV` once the device is unplugged; `EBUSY` and `ERESTARTSYS` from waiting for the
    /// memory's previous user; `ERESTARTSYS` for a process that is killed.
    pub(crate) fn clear(&self, ctx: &mut OperationCtx) -> Result {
        self.wait(ctx)?;

        let Some(res) = self.resource() else {
            return Ok(());
        };
        if res.uses_tt() {
            return Ok(());
        }

        let mut backing = backing(self, res);

        for_each_page(self, ctx, |parent| {
            if let Some(page) = backing.next(parent)? {
                zero(&page);
            }
            Ok(())
        })
    }
}
