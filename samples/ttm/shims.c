// SPDX-License-Identifier: GPL-2.0
/* The shims that the abstractions need, as one file: an object is of one module only. */

#include "../../c_shims/buddy.c"
#include "../../c_shims/dma.c"
#include "../../c_shims/drm.c"
#include "../../c_shims/sys.c"
#include "../../c_shims/ttm.c"

MODULE_IMPORT_NS("DMA_BUF");
