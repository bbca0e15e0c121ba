// SPDX-License-Identifier: GPL-2.0

//! The pages behind a buffer.
//!
//! From and to TTM's page pool, by TTM's defaults: with bus addresses, cached, and zeroed for user
//! space. Under memory pressure they go to a backup in shmem, see [`super::Shrinker`].
//!
//! C header: [`include/drm/ttm/ttm_tt.h`](srctree/include/drm/ttm/ttm_tt.h)

use kernel::{
    alloc::flags::__GFP_ZERO,
    error::{
        from_result,
        to_result, //
    },
    prelude::*, //
};

use crate::{
    bindings::raw as bindings,
    ttm::BaseDevice, //
};

/// To TTM, pages are its own to swap out, all of a buffer at once, or external; piece by piece it backs
/// up only those that are external, and yet its pool's.
const BACKED_UP_IN_PIECES: u32 =
    bindings::TTM_TT_FLAG_EXTERNAL | bindings::TTM_TT_FLAG_EXTERNAL_MAPPABLE;

pub(super) extern "C" fn create_callback(
    bo: *mut bindings::ttm_buffer_object,
    page_flags: u32,
) -> *mut bindings::ttm_tt {
    let Ok(mut tt) = KBox::<bindings::ttm_tt>::new_uninit(GFP_KERNEL | __GFP_ZERO) else {
        return core::ptr::null_mut();
    };

    // SAFETY: `tt` is zeroed memory, and `bo` the live buffer it is for.
    let ret = unsafe {
        bindings::ttm_sg_tt_init(
            tt.as_mut_ptr(),
            bo,
            page_flags,
            bindings::ttm_caching_ttm_cached,
        )
    };
    if ret != 0 {
        return core::ptr::null_mut();
    }
    // SAFETY: Just initialised. Not before, as external pages get no place for their addresses.
    unsafe { (*tt.as_mut_ptr()).page_flags |= BACKED_UP_IN_PIECES };

    KBox::into_raw(tt).cast()
}

/// New pages, or the old ones with their content.
pub(super) extern "C" fn populate_callback(
    bdev: *mut bindings::ttm_device,
    tt: *mut bindings::ttm_tt,
    ctx: *mut bindings::ttm_operation_ctx,
) -> c_int {
    from_result(|| {
        // SAFETY: TTM calls this with a device of ours and, while it keeps others from it, what
        // `create_callback` made for it, without pages.
        unsafe {
            // Not sooner, so that what is never touched costs nothing; not when memory is short.
            if (*tt).backup.is_null() {
                // Shmem says ENOSPC where it gets no memory for an inode.
                to_result(bindings::ttm_tt_setup_backup(tt)).map_err(|_| ENOMEM)?;
            }

            to_result(if bindings::ttm_tt_is_backed_up(tt) {
                bindings::ttm_tt_restore(bdev, tt, ctx)
            } else {
                bindings::ttm_pool_alloc(&mut (*bdev).pool, tt, ctx)
            })?;

            BaseDevice::from_raw(bdev).now_populated((*tt).num_pages);
        }
        Ok(0)
    })
}

pub(super) extern "C" fn unpopulate_callback(
    bdev: *mut bindings::ttm_device,
    tt: *mut bindings::ttm_tt,
) {
    // SAFETY: TTM calls this with a device of ours, and with what `populate_callback` populated.
    unsafe {
        bindings::ttm_pool_free(&mut (*bdev).pool, tt);
        BaseDevice::from_raw(bdev).unpopulated((*tt).num_pages);
    }
}

pub(super) extern "C" fn destroy_callback(
    _bdev: *mut bindings::ttm_device,
    tt: *mut bindings::ttm_tt,
) {
    // SAFETY: TTM gives back what `create_callback` made, once, unpopulated.
    unsafe {
        bindings::ttm_tt_fini(tt);
        drop(KBox::from_raw(tt));
    }
}
