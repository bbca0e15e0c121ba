/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bindgen reads: C interfaces that the kernel's `bindings` crate lacks, and
 * the shims for those of them that are inlines or macros.
 */
#include <linux/dma-fence.h>
#include <linux/dma-resv.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/ratelimit.h>
#include <linux/sched/clock.h>
#include <linux/shrinker.h>
#include <linux/timex.h>

#include <drm/drm_buddy.h>
#include <drm/drm_cache.h>
#include <drm/drm_dumb_buffers.h>
#include <drm/drm_mm.h>
#include <drm/drm_prime.h>
#include <drm/drm_print.h>
#include <drm/drm_syncobj.h>
#include <drm/drm_utils.h>
#include <drm/ttm/ttm_backup.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_device.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_resource.h>
#include <drm/ttm/ttm_tt.h>

#include "../../c_shims/buddy.c"
#include "../../c_shims/dma.c"
#include "../../c_shims/drm.c"
#include "../../c_shims/pddgpu_trace.h"
#include "../../c_shims/sys.c"
#include "../../c_shims/ttm.c"

/* Macros that bindgen does not evaluate. */
const fmode_t RUST_CONST_HELPER_FMODE_WRITE = FMODE_WRITE;
const unsigned long RUST_CONST_HELPER_DRM_WEDGE_RECOVERY_REBIND = DRM_WEDGE_RECOVERY_REBIND;
const int RUST_CONST_HELPER_EMULTIHOP = EMULTIHOP;
const unsigned int RUST_CONST_HELPER_TTM_ALLOCATION_PROPAGATE_ENOSPC =
	TTM_ALLOCATION_PROPAGATE_ENOSPC;
const gfp_t RUST_CONST_HELPER___GFP_FS = __GFP_FS;
const gfp_t RUST_CONST_HELPER_GFP_HIGHUSER = GFP_HIGHUSER;
const gfp_t RUST_CONST_HELPER___GFP_ACCOUNT = __GFP_ACCOUNT;
const gfp_t RUST_CONST_HELPER___GFP_NOMEMALLOC = __GFP_NOMEMALLOC;
const gfp_t RUST_CONST_HELPER___GFP_NORETRY = __GFP_NORETRY;
const gfp_t RUST_CONST_HELPER___GFP_RECLAIM = __GFP_RECLAIM;
const gfp_t RUST_CONST_HELPER___GFP_RETRY_MAYFAIL = __GFP_RETRY_MAYFAIL;
const slab_flags_t RUST_CONST_HELPER_SLAB_ACCOUNT = SLAB_ACCOUNT;
const unsigned int RUST_CONST_HELPER_MAX_PAGE_ORDER = MAX_PAGE_ORDER;
const gfp_t RUST_CONST_HELPER___GFP_HIGH = __GFP_HIGH;
const u32 RUST_CONST_HELPER_TTM_TT_FLAG_PRIV_POPULATED = TTM_TT_FLAG_PRIV_POPULATED;
const u32 RUST_CONST_HELPER_TTM_TT_FLAG_ZERO_ALLOC = TTM_TT_FLAG_ZERO_ALLOC;
const u32 RUST_CONST_HELPER_TTM_TT_FLAG_EXTERNAL = TTM_TT_FLAG_EXTERNAL;
const u32 RUST_CONST_HELPER_TTM_TT_FLAG_EXTERNAL_MAPPABLE = TTM_TT_FLAG_EXTERNAL_MAPPABLE;
