// SPDX-License-Identifier: GPL-2.0

//! The pages behind a buffer.
//!
//! Populated from and returned to TTM's page pool, by TTM's defaults: with bus addresses, cached, and
//! zeroed for user space.
//!
//! C header: [`include/drm/ttm/ttm_tt.h`](srctree/include/drm/ttm/ttm_tt.h)

use kernel::{
    alloc::flags::__GFP_ZERO,
    prelude::*, //
};

use crate::bindings::raw as bindings;

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
    KBox::into_raw(tt).cast()
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
