// SPDX-License-Identifier: GPL-2.0
/* Kernel services: what their headers have only inline or as macros. */

#include <linux/capability.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/ratelimit.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/timex.h>
#include <linux/vmstat.h>
#include <linux/workqueue.h>

void shim_list_del(struct list_head *entry)
{
	list_del(entry);
}

cycles_t shim_get_cycles(void)
{
	return get_cycles();
}

bool shim_fatal_signal_pending(struct task_struct *task)
{
	return fatal_signal_pending(task);
}

bool shim_perfmon_capable(void)
{
	return perfmon_capable();
}

unsigned int shim_memalloc_noreclaim_save(void)
{
	return memalloc_noreclaim_save();
}

void shim_memalloc_noreclaim_restore(unsigned int flags)
{
	memalloc_noreclaim_restore(flags);
}

void shim_ratelimit_default_init(struct ratelimit_state *state)
{
	ratelimit_default_init(state);
}

void shim_init_delayed_work(struct delayed_work *work, work_func_t func)
{
	INIT_DELAYED_WORK(work, func);
}

struct page *shim_alloc_pages_node(int nid, gfp_t gfp, unsigned int order)
{
	return alloc_pages_node(nid, gfp, order);
}

void shim_set_page_private(struct page *page, unsigned long private)
{
	set_page_private(page, private);
}

void shim_mod_lruvec_page_state(struct page *page, enum node_stat_item idx, int val)
{
	mod_lruvec_page_state(page, idx, val);
}

void shim_copy_highpage(struct page *to, struct page *from)
{
	copy_highpage(to, from);
}

void shim_put_page(struct page *page)
{
	put_page(page);
}

struct mem_cgroup *shim_get_mem_cgroup_from_mm(struct mm_struct *mm)
{
	return get_mem_cgroup_from_mm(mm);
}

void shim_mem_cgroup_put(struct mem_cgroup *memcg)
{
	mem_cgroup_put(memcg);
}

struct mem_cgroup *shim_set_active_memcg(struct mem_cgroup *memcg)
{
	return set_active_memcg(memcg);
}
