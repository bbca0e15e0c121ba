// SPDX-License-Identifier: GPL-2.0
/* DRM core: what its headers have only inline or as macros. */

#include <linux/cgroup_dmem.h>

#include <drm/drm_drv.h>
#include <drm/drm_gem.h>
#include <drm/drm_mm.h>
#include <drm/drm_print.h>
#include <drm/drm_syncobj.h>
#include <drm/drm_vma_manager.h>

void shim_drm_gem_object_get(struct drm_gem_object *obj)
{
	drm_gem_object_get(obj);
}

void shim_drm_gem_object_put(struct drm_gem_object *obj)
{
	drm_gem_object_put(obj);
}

struct dmem_cgroup_region *
shim_drmm_cgroup_register_region(struct drm_device *dev, const char *name,
				 const struct dmem_cgroup_init *init)
{
	return drmm_cgroup_register_region(dev, name, init);
}

u64 shim_drm_vma_node_offset_addr(struct drm_vma_offset_node *node)
{
	return drm_vma_node_offset_addr(node);
}

bool shim_drm_mm_node_allocated(const struct drm_mm_node *node)
{
	return drm_mm_node_allocated(node);
}

void shim_drm_syncobj_put(struct drm_syncobj *obj)
{
	drm_syncobj_put(obj);
}

struct drm_printer shim_drm_seq_file_printer(struct seq_file *m)
{
	return drm_seq_file_printer(m);
}

struct drm_printer shim_drm_info_printer(struct device *dev)
{
	return drm_info_printer(dev);
}

struct drm_printer shim_drm_dbg_printer(struct drm_device *drm,
					enum drm_debug_category category,
					const char *prefix)
{
	return drm_dbg_printer(drm, category, prefix);
}
