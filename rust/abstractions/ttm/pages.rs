// SPDX-License-Identifier: GPL-2.0

//! Allocating the system pages of a buffer, and restoring them from their backup.
//!
//! TTM's pool does both, but its pages belong to no memory cgroup. These are allocated as the pool
//! allocates its own, so that TTM frees them and backs them up: in blocks of 2^n pages, with n in
//! `page->private` of the first, and counted in `NR_GPU_ACTIVE`.
//!
//! C source: `drivers/gpu/drm/ttm/ttm_pool.c`

use kernel::{
    alloc::flags::{
        __GFP_NOWARN,
        __GFP_ZERO, //
    },
    error::from_err_ptr,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*, //
};

use crate::{
    abstractions::ttm::ctx::OperationCtx,
    bindings::raw as bindings, //
};

/// The page of a tt for which there is no backup, because it was never written.
const NO_HANDLE: c_ulong = 0;

/// Makes the array of page pointers, all null.
///
/// # Errors
///
/// `ENOMEM`.
///
/// # Safety
///
/// `tt` must be a valid tt that nobody else uses, and that has no array yet.
pub(super) unsafe fn make_array(tt: *mut bindings::ttm_tt) -> Result {
    // SAFETY: By this function's requirements.
    let count = unsafe { (*tt).num_pages } as usize;
    let (pages, ..) = KVVec::<*mut bindings::page>::with_capacity(
        count,
        GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN,
    )?
    .into_raw_parts();

    // SAFETY: By this function's requirements. `ttm_tt_fini()` frees the array, which is zeroed.
    unsafe { (*tt).pages = pages };
    Ok(())
}

/// The flags of an allocation of 2^`order` pages, as the pool has them.
fn flags(order: c_uint, zeroed: bool, ctx: &OperationCtx) -> bindings::gfp_t {
    let mut flags = bindings::GFP_HIGHUSER | bindings::__GFP_ACCOUNT;

    if zeroed {
        flags |= bindings::__GFP_ZERO;
    }
    if ctx.may_fail() {
        flags |= bindings::__GFP_RETRY_MAYFAIL | bindings::__GFP_NOWARN;
    }
    // Large blocks are taken if they are there. Nothing is moved or written for them.
    if order > 0 {
        flags &= !(bindings::__GFP_RECLAIM | bindings::__GFP_RETRY_MAYFAIL);
        flags |= bindings::__GFP_NOMEMALLOC | bindings::__GFP_NORETRY | bindings::__GFP_NOWARN;
    }
    flags
}

/// Allocates a block of 2^`order` pages; [`None`] if there is none.
///
/// # Safety
///
/// `bdev` must be an initialised TTM device.
unsafe fn alloc_block(
    bdev: *mut bindings::ttm_device,
    order: c_uint,
    flags: bindings::gfp_t,
) -> Option<*mut bindings::page> {
    // SAFETY: By this function's requirements; the new block is ours.
    unsafe {
        let page = bindings::alloc_pages_node((*bdev).pool.nid, flags, order);

        if page.is_null() {
            return None;
        }
        bindings::set_page_private(page, order as c_ulong);
        bindings::mod_lruvec_page_state(page, bindings::node_stat_item_NR_GPU_ACTIVE, 1 << order);
        Some(page)
    }
}

/// Fills the array of `tt` with new pages.
///
/// # Errors
///
/// `ENOMEM`; `ERESTARTSYS` for a process that is killed. No pages are left then.
///
/// # Safety
///
/// `bdev` must be an initialised TTM device, and `tt` a tt of it that nobody else uses. All pointers
/// of its array must be null.
pub(super) unsafe fn alloc(
    bdev: *mut bindings::ttm_device,
    tt: *mut bindings::ttm_tt,
    ctx: &OperationCtx,
) -> Result {
    // SAFETY: By this function's requirements the tt, and with it the array, is ours.
    let (pages, zeroed) = unsafe {
        (
            core::slice::from_raw_parts_mut((*tt).pages, (*tt).num_pages as usize),
            (*tt).page_flags & bindings::TTM_TT_FLAG_ZERO_ALLOC != 0,
        )
    };
    let mut done = 0;
    let mut order = bindings::MAX_PAGE_ORDER;

    while done < pages.len() {
        order = order.min((pages.len() - done).ilog2());

        let result = ctx.check_killed().map(|()| {
            // SAFETY: By this function's requirements.
            unsafe { alloc_block(bdev, order, flags(order, zeroed, ctx)) }
        });
        match result {
            Ok(Some(first)) => {
                for (index, page) in pages[done..done + (1 << order)].iter_mut().enumerate() {
                    *page = first.wrapping_add(index);
                }
                done += 1 << order;
            }
            Ok(None) if order > 0 => order -= 1,
            result => {
                // SAFETY: The array has what was allocated so far, and null for the rest.
                unsafe { bindings::ttm_pool_free(&mut (*bdev).pool, tt) };
                pages.fill(core::ptr::null_mut());
                return Err(result.err().unwrap_or(ENOMEM));
            }
        }
    }
    Ok(())
}

/// Restores the pages of `tt` from their backup (`ttm_tt_restore()`).
///
/// # Errors
///
/// `ENOMEM`; `ERESTARTSYS` for a process that is killed; those of reading from swap. What was restored so far is
/// kept, and the next call goes on from there.
///
/// # Safety
///
/// `bdev` must be an initialised TTM device, and `tt` a tt of it that nobody else uses and that is
/// backed up.
pub(super) unsafe fn restore(
    bdev: *mut bindings::ttm_device,
    tt: *mut bindings::ttm_tt,
    ctx: &OperationCtx,
) -> Result {
    // SAFETY: By this function's requirements the tt, and with it the array, is ours.
    let pages = unsafe { core::slice::from_raw_parts_mut((*tt).pages, (*tt).num_pages as usize) };

    for page in pages {
        // SAFETY: Only looks at the pointer.
        if !page.is_null() && !unsafe { bindings::ttm_backup_page_ptr_is_handle(*page) } {
            continue;
        }
        ctx.check_killed()?;

        let handle = if page.is_null() {
            NO_HANDLE
        } else {
            // SAFETY: Only looks at the pointer.
            unsafe { bindings::ttm_backup_page_ptr_to_handle(*page) }
        };
        // SAFETY: By this function's requirements.
        *page = unsafe { restore_page(bdev, (*tt).backup, handle, ctx)? };
    }
    // SAFETY: By this function's requirements the tt is ours.
    unsafe { (*tt).page_flags &= !bindings::TTM_TT_FLAG_BACKED_UP };
    Ok(())
}

/// Restores one page, and frees its backup.
///
/// # Errors
///
/// `ENOMEM`, and those of reading from swap.
///
/// # Safety
///
/// `bdev` must be an initialised TTM device, and `handle` that of a page in `backup`, or
/// [`NO_HANDLE`].
unsafe fn restore_page(
    bdev: *mut bindings::ttm_device,
    backup: *mut bindings::file,
    handle: c_ulong,
    ctx: &OperationCtx,
) -> Result<*mut bindings::page> {
    let zeroed = handle == NO_HANDLE;

    // SAFETY: By this function's requirements. The backup is a shmem file, whose page is held while
    // it is copied to a new page that is nobody's yet.
    unsafe {
        let page = alloc_block(bdev, 0, flags(0, zeroed, ctx)).ok_or(ENOMEM)?;
        if zeroed {
            return Ok(page);
        }

        let index = handle - 1;
        let mapping = (*backup).f_mapping;
        let mut gfp = (*mapping).gfp_mask;
        if ctx.may_fail() {
            gfp |= bindings::__GFP_RETRY_MAYFAIL | bindings::__GFP_NOWARN;
        }
        let from = match from_err_ptr(bindings::shmem_read_mapping_page_gfp(mapping, index, gfp)) {
            Ok(from) => from,
            Err(err) => {
                free_page(page);
                return Err(err);
            }
        };

        bindings::copy_highpage(page, from);
        bindings::put_page(from);
        let start = (index << PAGE_SHIFT) as bindings::loff_t;
        bindings::shmem_truncate_range(
            (*backup).f_inode,
            start,
            start as bindings::uoff_t + PAGE_SIZE as bindings::uoff_t - 1,
        );
        Ok(page)
    }
}

/// Frees a single page that [`alloc_block`] allocated.
///
/// # Safety
///
/// Nobody may use the page any more.
unsafe fn free_page(page: *mut bindings::page) {
    // SAFETY: By this function's requirements.
    unsafe {
        bindings::mod_lruvec_page_state(page, bindings::node_stat_item_NR_GPU_ACTIVE, -1);
        bindings::__free_pages(page, 0);
    }
}
