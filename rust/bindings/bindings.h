/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bindgen reads: C interfaces that the kernel's `bindings` crate lacks, and
 * the shims for those of them that are inlines or macros.
 */
#include <linux/errno.h>
#include <linux/sched/clock.h>
#include <linux/timex.h>

#include <drm/drm_buddy.h>
#include <drm/drm_cache.h>
#include <drm/drm_mm.h>
#include <drm/drm_prime.h>
#include <drm/drm_print.h>
#include <drm/drm_utils.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_device.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_resource.h>
#include <drm/ttm/ttm_tt.h>

#include "../../c_shims/drm.c"
#include "../../c_shims/pddgpu_trace.h"
#include "../../c_shims/sys.c"
#include "../../c_shims/ttm.c"

/* Macros that bindgen does not evaluate. */
const int RUST_CONST_HELPER_EMULTIHOP = EMULTIHOP;
const unsigned int RUST_CONST_HELPER_TTM_ALLOCATION_PROPAGATE_ENOSPC =
	TTM_ALLOCATION_PROPAGATE_ENOSPC;
const u32 RUST_CONST_HELPER_TTM_TT_FLAG_SWAPPED = TTM_TT_FLAG_SWAPPED;
