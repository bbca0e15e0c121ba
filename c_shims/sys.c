// SPDX-License-Identifier: GPL-2.0
/* Kernel services: what their headers have only inline or as macros. */

#include <linux/capability.h>
#include <linux/list.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/timex.h>
#include <linux/workqueue.h>

void shim_list_del(struct list_head *entry)
{
	list_del(entry);
}

cycles_t shim_get_cycles(void)
{
	return get_cycles();
}

void shim_cond_resched(void)
{
	cond_resched();
}

bool shim_fatal_signal_pending(struct task_struct *p)
{
	return fatal_signal_pending(p);
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
