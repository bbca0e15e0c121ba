// SPDX-License-Identifier: GPL-2.0
/* DMA mappings, fences and reservations: what their headers have only inline or as macros. */

#include <linux/dma-fence-chain.h>
#include <linux/dma-fence.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>

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
