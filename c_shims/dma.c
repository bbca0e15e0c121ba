// SPDX-License-Identifier: GPL-2.0
/* DMA mappings, fences and reservations: what their headers have only inline or as macros. */

#include <linux/dma-fence-chain.h>
#include <linux/dma-fence.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/iosys-map.h>

struct dma_fence *shim_dma_fence_get(struct dma_fence *fence)
{
	return dma_fence_get(fence);
}

void shim_dma_fence_put(struct dma_fence *fence)
{
	dma_fence_put(fence);
}

struct dma_fence_chain *shim_dma_fence_chain_alloc(void)
{
	return dma_fence_chain_alloc();
}

void shim_dma_fence_chain_free(struct dma_fence_chain *chain)
{
	dma_fence_chain_free(chain);
}

bool shim_dma_fence_begin_signalling(void)
{
	return dma_fence_begin_signalling();
}

void shim_dma_fence_end_signalling(bool cookie)
{
	dma_fence_end_signalling(cookie);
}

int shim_dma_resv_lock_interruptible(struct dma_resv *obj, struct ww_acquire_ctx *ctx)
{
	return dma_resv_lock_interruptible(obj, ctx);
}

void shim_iosys_map_memcpy_to(struct iosys_map *dst, size_t dst_offset,
			      const void *src, size_t len)
{
	iosys_map_memcpy_to(dst, dst_offset, src, len);
}

void shim_iosys_map_memcpy_from(void *dst, const struct iosys_map *src,
				size_t src_offset, size_t len)
{
	iosys_map_memcpy_from(dst, src, src_offset, len);
}

void shim_dma_unmap_sgtable(struct device *dev, struct sg_table *sgt,
			    enum dma_data_direction dir, unsigned long attrs)
{
	dma_unmap_sgtable(dev, sgt, dir, attrs);
}

bool shim_dma_resv_trylock(struct dma_resv *obj)
{
	return dma_resv_trylock(obj);
}

int shim_dma_mapping_error(struct device *dev, dma_addr_t dma_addr)
{
	return dma_mapping_error(dev, dma_addr);
}

void shim_dma_resv_iter_begin(struct dma_resv_iter *cursor, struct dma_resv *obj,
			      enum dma_resv_usage usage)
{
	dma_resv_iter_begin(cursor, obj, usage);
}

void shim_dma_resv_iter_end(struct dma_resv_iter *cursor)
{
	dma_resv_iter_end(cursor);
}

void shim_resv_acquire_init(struct ww_acquire_ctx *ctx)
{
	ww_acquire_init(ctx, &reservation_ww_class);
}

void shim_ww_acquire_fini(struct ww_acquire_ctx *ctx)
{
	ww_acquire_fini(ctx);
}
