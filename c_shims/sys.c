// SPDX-License-Identifier: GPL-2.0
/* Kernel services: what their headers have only inline or as macros. */

#include <linux/capability.h>
#include <linux/cgroup.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/psi.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/timex.h>
#include <linux/vmstat.h>
#include <linux/workqueue.h>

size_t shim_list_count_nodes(struct list_head *head)
{
	return list_count_nodes(head);
}

void shim_list_move_tail(struct list_head *list, struct list_head *head)
{
	list_move_tail(list, head);
}

bool shim_kref_get_unless_zero(struct kref *kref)
{
	return kref_get_unless_zero(kref);
}

void shim_list_del(struct list_head *entry)
{
	list_del(entry);
}

cycles_t shim_get_cycles(void)
{
	return get_cycles();
}

void shim_vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vm_flags_clear(vma, flags);
}

void shim_cond_resched(void)
{
	cond_resched();
}

bool shim_fatal_signal_pending(struct task_struct *task)
{
	return fatal_signal_pending(task);
}

u64 shim_task_cgroup_id(struct task_struct *task)
{
	return cgroup_id(task_dfl_cgroup(task));
}

void shim_psi_memstall_enter(unsigned long *flags)
{
	psi_memstall_enter(flags);
}

void shim_psi_memstall_leave(unsigned long *flags)
{
	psi_memstall_leave(flags);
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

void *shim_kvzalloc(size_t size, gfp_t gfp)
{
	return kvzalloc(size, gfp);
}

struct file *shim_get_file(struct file *file)
{
	return get_file(file);
}

void shim_set_page_private(struct page *page, unsigned long private)
{
	set_page_private(page, private);
}

unsigned long shim_page_private(struct page *page)
{
	return page_private(page);
}

void shim_mod_page_state(struct page *page, enum node_stat_item item, long delta)
{
	mod_node_page_state(page_pgdat(page), item, delta);
}

struct file *shim_shmem_file_setup(const char *name, loff_t size)
{
	return shmem_file_setup(name, size, EMPTY_VMA_FLAGS);
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

struct kmem_cache *shim_kmem_cache_create(const char *name, unsigned int size,
					  unsigned int align, slab_flags_t flags)
{
	return kmem_cache_create(name, size, align, flags, NULL);
}

void *shim_kmem_cache_alloc(struct kmem_cache *cache, gfp_t flags)
{
	return kmem_cache_alloc(cache, flags);
}

int shim_notifier_from_errno(int err)
{
	return notifier_from_errno(err);
}
