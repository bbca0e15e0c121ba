// SPDX-License-Identifier: GPL-2.0

//! The system pages of a buffer: allocating and freeing them, backing them up, and restoring them.
//!
//! TTM's pool does all this, but its pages belong to no memory cgroup, and it counts pages in a way
//! that the kernel does not allow for those that do. These are allocated in blocks of 2^n pages, with
//! n in `page->private` of the first, and counted in `NR_GPU_ACTIVE`.
//!
//! The *backup* of a buffer is a shmem file of its size, which the kernel can swap out like any
//! other. A page that is backed up is null in the array.
//!
//! C source: `drivers/gpu/drm/ttm/ttm_pool.c`

use core::ptr::NonNull;

use kernel::{
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

/// An allocation fails rather than to invoke the OOM killer, the system's or a cgroup's. The one who
/// asks is refused.
const MAY_FAIL: bindings::gfp_t = bindings::__GFP_RETRY_MAYFAIL | bindings::__GFP_NOWARN;

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
    // SAFETY: By this function's requirements. `free()` frees the array.
    unsafe {
        let bytes = (*tt).num_pages as usize * size_of::<*mut bindings::page>();

        (*tt).pages = bindings::kvzalloc(bytes, bindings::GFP_KERNEL_ACCOUNT | MAY_FAIL).cast();
        if (*tt).pages.is_null() {
            return Err(ENOMEM);
        }
    }
    Ok(())
}

/// The flags of an allocation of 2^`order` pages, as the pool has them.
fn flags(order: c_uint, zeroed: bool) -> bindings::gfp_t {
    let mut flags = bindings::GFP_HIGHUSER | bindings::__GFP_ACCOUNT | MAY_FAIL;

    if zeroed {
        flags |= bindings::__GFP_ZERO;
    }
    // Large blocks are taken if they are there. Nothing is moved or written for them.
    if order > 0 {
        flags &= !(bindings::__GFP_RECLAIM | bindings::__GFP_RETRY_MAYFAIL);
        flags |= bindings::__GFP_NOMEMALLOC | bindings::__GFP_NORETRY;
    }
    flags
}

/// Allocates a block of 2^`order` pages on the node `nid`; [`None`] if there is none.
fn alloc_block(nid: c_int, order: c_uint, flags: bindings::gfp_t) -> Option<*mut bindings::page> {
    // SAFETY: May be called in process context; the new block is ours.
    unsafe {
        let page = bindings::alloc_pages_node(nid, flags, order);

        if page.is_null() {
            return None;
        }
        bindings::set_page_private(page, order as c_ulong);
        bindings::mod_page_state(page, bindings::node_stat_item_NR_GPU_ACTIVE, 1 << order);
        Some(page)
    }
}

/// Frees a block. Returns how many pages it had.
///
/// # Safety
///
/// `first` must be the first page of a block that [`alloc_block`] gave, and that nobody uses any more.
unsafe fn free_block(first: *mut bindings::page) -> usize {
    // SAFETY: By this function's requirements.
    unsafe {
        let order = bindings::page_private(first);

        bindings::set_page_private(first, 0);
        bindings::mod_page_state(first, bindings::node_stat_item_NR_GPU_ACTIVE, -(1 << order));
        // CAST: A few bits.
        bindings::__free_pages(first, order as c_uint);
        1 << order
    }
}

/// The array of a tt.
///
/// # Safety
///
/// `tt` must be a valid tt with an array, and the access to it exclusive during `'a`.
unsafe fn array<'a>(tt: *mut bindings::ttm_tt) -> &'a mut [*mut bindings::page] {
    // SAFETY: By this function's requirements.
    unsafe { core::slice::from_raw_parts_mut((*tt).pages, (*tt).num_pages as usize) }
}

/// Frees the pages of `tt`, and the array. Those that are not there are left out.
///
/// # Safety
///
/// `tt` must be a valid tt that nobody else uses, and its pages must not be used any more.
pub(super) unsafe fn free(tt: *mut bindings::ttm_tt) {
    // SAFETY: By this function's requirements. All pages in the array are in blocks.
    unsafe {
        if (*tt).pages.is_null() {
            return;
        }
        let pages = array(tt);
        let mut at = 0;

        while let Some(&page) = pages.get(at) {
            at += if page.is_null() { 1 } else { free_block(page) };
        }
        bindings::kvfree((*tt).pages.cast());
        (*tt).pages = core::ptr::null_mut();
    }
}

/// Fills the array of `tt` with new pages.
///
/// # Errors
///
/// `ENOMEM`; `EINTR` for a process that is killed. No pages, and no array, are left then.
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
    let (pages, zeroed, nid) = unsafe {
        (
            array(tt),
            (*tt).page_flags & bindings::TTM_TT_FLAG_ZERO_ALLOC != 0,
            (*bdev).pool.nid,
        )
    };
    let mut done = 0;
    let mut order = bindings::MAX_PAGE_ORDER;

    while done < pages.len() {
        order = order.min((pages.len() - done).ilog2());

        let result = ctx
            .check_killed()
            .map(|()| alloc_block(nid, order, flags(order, zeroed)));
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
                unsafe { free(tt) };
                return Err(result.err().unwrap_or(ENOMEM));
            }
        }
    }
    Ok(())
}

/// The backup of a tt.
///
/// # Invariants
///
/// The file is a shmem file that this value owns a reference on, and has the content of the pages
/// that are null in the array of the tt.
pub(super) struct Backup(NonNull<bindings::file>);

impl Backup {
    /// An empty backup for a buffer of `pages` pages.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `ENFILE`.
    pub(super) fn new(pages: u32) -> Result<Self> {
        let bytes = bindings::loff_t::from(pages) << PAGE_SHIFT;

        // SAFETY: The name is static.
        let file = from_err_ptr(unsafe {
            bindings::shmem_file_setup(c"ttm backup".as_char_ptr(), bytes)
        })?;
        // INVARIANT: The reference is ours, and so far no page is backed up.
        NonNull::new(file).map(Self).ok_or(ENOMEM)
    }

    /// Calls `f` with a page of the file.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, and those of reading from swap.
    fn with_page(
        &self,
        index: usize,
        gfp: bindings::gfp_t,
        f: impl FnOnce(*mut bindings::page),
    ) -> Result {
        // SAFETY: By the type invariant. The page is held while it is used.
        unsafe {
            let mapping = (*self.0.as_ptr()).f_mapping;
            let page = from_err_ptr(bindings::shmem_read_mapping_page_gfp(mapping, index, gfp))?;

            f(page);
            bindings::put_page(page);
        }
        Ok(())
    }

    /// Frees a page of the file.
    fn drop_page(&self, index: usize) {
        // CAST: A buffer has less than 2^63 bytes.
        let start = (index << PAGE_SHIFT) as bindings::loff_t;

        // SAFETY: By the type invariant.
        unsafe {
            bindings::shmem_truncate_range(
                (*self.0.as_ptr()).f_inode,
                start,
                (start + PAGE_SIZE as bindings::loff_t - 1) as u64,
            )
        };
    }
}

impl Drop for Backup {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::fput(self.0.as_ptr()) };
    }
}

/// Copies the pages of `tt` to its backup, and frees them, block by block, until that fails. Returns
/// how many pages were freed. For use in memory reclaim.
///
/// # Safety
///
/// `tt` must be a valid, populated tt that nobody else uses, and neither the CPU nor the device may
/// use its pages.
pub(super) unsafe fn back_up(tt: *mut bindings::ttm_tt, backup: &Backup) -> usize {
    // SAFETY: By this function's requirements.
    let pages = unsafe { array(tt) };
    let mut freed = 0;
    let mut at = 0;

    while let Some(&first) = pages.get(at) {
        // SAFETY: By this function's requirements it is the first page of a block.
        let order = unsafe { bindings::page_private(first) } as c_uint;
        let block = at..at + (1 << order);
        let copied = copy_block(&pages[block.clone()], at, order, backup);

        // What was copied of a block is freed, so that the copies are not for nothing.
        if 0 < copied && copied < block.len() {
            // SAFETY: By this function's requirements nobody uses the block. Each of its pages is a
            // block after this.
            unsafe {
                bindings::split_page(first, order);
                for &page in &pages[block.clone()] {
                    bindings::set_page_private(page, 0);
                }
            }
        }
        let done = at + copied;
        while at < done {
            // SAFETY: By this function's requirements nobody uses the page.
            let count = unsafe { free_block(pages[at]) };

            pages[at..at + count].fill(core::ptr::null_mut());
            at += count;
            freed += count;
        }
        if copied < block.len() {
            break;
        }
    }
    freed
}

/// Copies the pages of a block of 2^`order`, the first of which is number `at` of the buffer, to the
/// backup. Returns how many could be copied.
fn copy_block(pages: &[*mut bindings::page], at: usize, order: c_uint, backup: &Backup) -> usize {
    let mut gfp = bindings::GFP_KERNEL | bindings::__GFP_HIGH | MAY_FAIL;

    // Reclaim may use the kernel's reserves. A page frees as much as it takes, but a large block is
    // freed at its end only.
    if order > 0 {
        gfp |= bindings::__GFP_NOMEMALLOC;
    }
    pages
        .iter()
        .enumerate()
        .take_while(|&(index, &from)| {
            backup
                .with_page(at + index, gfp, |to| {
                    // SAFETY: Both are whole pages, and nobody else writes to either.
                    unsafe {
                        bindings::copy_highpage(to, from);
                        bindings::set_page_dirty(to);
                    }
                })
                .is_ok()
        })
        .count()
}

/// Restores the pages of `tt` from its backup.
///
/// # Errors
///
/// `ENOMEM`; `EINTR` for a process that is killed; those of reading from swap. What was
/// restored so far is kept, and the next call goes on from there.
///
/// # Safety
///
/// `bdev` must be an initialised TTM device, and `tt` a tt of it that nobody else uses, with this
/// backup.
pub(super) unsafe fn restore(
    bdev: *mut bindings::ttm_device,
    tt: *mut bindings::ttm_tt,
    backup: &Backup,
    ctx: &OperationCtx,
) -> Result {
    // SAFETY: By this function's requirements the tt, and with it the array, is ours.
    let (pages, nid) = unsafe { (array(tt), (*bdev).pool.nid) };

    for (index, page) in pages.iter_mut().enumerate() {
        if !page.is_null() {
            continue;
        }
        ctx.check_killed()?;

        let new = alloc_block(nid, 0, flags(0, false)).ok_or(ENOMEM)?;
        let result = backup.with_page(index, bindings::GFP_KERNEL | MAY_FAIL, |from| {
            // SAFETY: Both are whole pages, and nobody else writes to either.
            unsafe { bindings::copy_highpage(new, from) };
        });
        if let Err(err) = result {
            // SAFETY: Just allocated.
            unsafe { free_block(new) };
            return Err(err);
        }
        *page = new;
        // The same content twice would need twice the memory.
        backup.drop_page(index);
    }
    Ok(())
}
