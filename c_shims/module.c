// SPDX-License-Identifier: GPL-2.0
/* What the module says about itself that the module! macro of Rust cannot. */

#include <linux/module.h>

MODULE_VERSION("1.1.0");
MODULE_IMPORT_NS("DMA_BUF");
