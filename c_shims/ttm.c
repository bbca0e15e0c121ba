// SPDX-License-Identifier: GPL-2.0
/* TTM: what its headers have only inline or as macros. */

#include <linux/highmem.h>

#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_device.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_resource.h>
#include <drm/ttm/ttm_tt.h>

int shim_ttm_bo_reserve(struct ttm_buffer_object *bo, bool interruptible,
			bool no_wait, struct ww_acquire_ctx *ticket)
{
	return ttm_bo_reserve(bo, interruptible, no_wait, ticket);
}

int shim_ttm_bo_reserve_slowpath(struct ttm_buffer_object *bo, bool interruptible,
				 struct ww_acquire_ctx *ticket)
{
	return ttm_bo_reserve_slowpath(bo, interruptible, ticket);
}

void shim_ttm_bo_move_to_lru_tail_unlocked(struct ttm_buffer_object *bo)
{
	ttm_bo_move_to_lru_tail_unlocked(bo);
}

void shim_ttm_bo_move_null(struct ttm_buffer_object *bo, struct ttm_resource *new_mem)
{
	ttm_bo_move_null(bo, new_mem);
}

struct ttm_resource_manager *shim_ttm_manager_type(struct ttm_device *bdev, int mem_type)
{
	return ttm_manager_type(bdev, mem_type);
}

void shim_ttm_set_driver_manager(struct ttm_device *bdev, int type,
				 struct ttm_resource_manager *manager)
{
	ttm_set_driver_manager(bdev, type, manager);
}

void shim_ttm_resource_manager_set_used(struct ttm_resource_manager *man, bool used)
{
	ttm_resource_manager_set_used(man, used);
}

void shim_ttm_resource_manager_cleanup(struct ttm_resource_manager *man)
{
	ttm_resource_manager_cleanup(man);
}

bool shim_ttm_tt_is_populated(struct ttm_tt *tt)
{
	return ttm_tt_is_populated(tt);
}
