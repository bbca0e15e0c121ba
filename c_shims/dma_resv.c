// SPDX-License-Identifier: GPL-2.0
/* Buffer reservations: what <linux/dma-resv.h> has only inline. */

#include <linux/dma-resv.h>

bool shim_dma_resv_trylock(struct dma_resv *obj)
{
	return dma_resv_trylock(obj);
}

int shim_dma_resv_lock_interruptible(struct dma_resv *obj, struct ww_acquire_ctx *ctx)
{
	return dma_resv_lock_interruptible(obj, ctx);
}
