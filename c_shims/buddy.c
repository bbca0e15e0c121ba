// SPDX-License-Identifier: GPL-2.0
/* The GPU buddy allocator: what its header has only inline. */

#include <linux/gpu_buddy.h>

bool shim_gpu_buddy_block_is_clear(struct gpu_buddy_block *block)
{
	return gpu_buddy_block_is_clear(block);
}
