// SPDX-License-Identifier: GPL-2.0
/* Linked lists: what <linux/list.h> has only inline. */

#include <linux/list.h>

void shim_list_del(struct list_head *entry)
{
	list_del(entry);
}
