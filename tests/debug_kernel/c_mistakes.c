// SPDX-License-Identifier: GPL-2.0
/*
 * A module that makes the mistake whose name is written to /sys/kernel/debug/mistake, each for a
 * checker of the debug kernel to catch. Some end the process that asked.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/device/faux.h>
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/percpu_counter.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/sched/task_stack.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <drm/drm_mm.h>

#include "rust_mistakes.h"

/* What it is, the compiler does not know. */
static int one(void)
{
	int number = 1;

	OPTIMIZER_HIDE_VAR(number);
	return number;
}

/* Whether what waits until a checker has seen it may go on. */
static bool caught;
static DECLARE_WAIT_QUEUE_HEAD(until_caught);

static int vmalloc_out_of_bounds(void)
{
	u8 *bytes = vmalloc(PAGE_SIZE);

	if (!bytes)
		return -ENOMEM;
	READ_ONCE(bytes[PAGE_SIZE + one()]);
	vfree(bytes);
	return 0;
}

static int page_freed_twice(void)
{
	struct page *page = alloc_page(GFP_KERNEL);

	if (!page)
		return -ENOMEM;
	__free_page(page);
	__free_page(page);
	return 0;
}

static char __user *usercopy_to;

static int usercopy(void)
{
	u8 *bytes = kzalloc(64, GFP_KERNEL);

	if (!bytes)
		return -ENOMEM;
	OPTIMIZER_HIDE_VAR(bytes);
	return copy_to_user(usercopy_to, bytes, 64 + one()) ? -EFAULT : 0;
}

static int array_index(void)
{
	static u8 array[4];
	u8 value = array[3 + one()];

	OPTIMIZER_HIDE_VAR(value);
	return value ? -EINVAL : 0;
}

static int shift(void)
{
	return 0 << (63 + one());
}

static int not_a_bool(void)
{
	u8 byte = 1 + one();

	return READ_ONCE(*(bool *)&byte) ? 0 : -EINVAL;
}

static int rcu_unlocked(void)
{
	static int __rcu *pointer;

	return !!rcu_dereference(pointer);
}

static int irq_flags(void)
{
	unsigned long flags;

	raw_local_irq_save(flags);
	raw_local_irq_enable();
	raw_local_irq_restore(flags);
	return 0;
}

static int processor_id(void)
{
	return smp_processor_id() < 0;
}

static int hung_task(void)
{
	WRITE_ONCE(caught, false);
	wait_event(until_caught, READ_ONCE(caught));
	return 0;
}

static int busy(void)
{
	WRITE_ONCE(caught, false);
	preempt_disable();
	while (!READ_ONCE(caught))
		cpu_relax();
	preempt_enable();
	return 0;
}

static void nothing(struct timer_list *timer)
{
}

static int active_timer(void)
{
	struct timer_list *timer = kzalloc_obj(*timer);

	if (!timer)
		return -ENOMEM;
	timer_setup(timer, nothing, 0);
	mod_timer(timer, jiffies + 1000 * HZ);
	kfree(timer);
	return 0;
}

static int work_on_stack(void)
{
	struct work_struct work;

	INIT_WORK(&work, NULL);
	return 0;
}

static void no_callback(struct rcu_head *head)
{
}

static int rcu_head_twice(void)
{
	static struct rcu_head head;

	call_rcu(&head, no_callback);
	call_rcu(&head, no_callback);
	return 0;
}

static int percpu_counter_freed(void)
{
	struct percpu_counter *counter = kzalloc_obj(*counter);

	if (!counter || percpu_counter_init(counter, 0, GFP_KERNEL))
		return -ENOMEM;
	kfree(counter);
	return 0;
}

static int list_twice(void)
{
	LIST_HEAD(list);
	struct list_head entry;

	list_add(&entry, &list);
	list_del(&entry);
	list_del(&entry);
	return 0;
}

static int scatterlist(void)
{
	struct scatterlist list[2];

	sg_init_table(list, 2);
	sg_chain(list, 2, list);
	return !sg_page(&list[1]);
}

static int notifier(void)
{
	/* No function of the kernel's. */
	struct notifier_block block = {
		.notifier_call = (notifier_fn_t)usercopy_to,
	};
	RAW_NOTIFIER_HEAD(chain);

	raw_notifier_chain_register(&chain, &block);
	raw_notifier_call_chain(&chain, 0, NULL);
	return 0;
}

static int dma_unmap(void)
{
	struct faux_device *faux = faux_device_create("checkers", NULL, NULL);
	int err;

	if (!faux)
		return -ENODEV;
	faux->dev.dma_mask = &faux->dev.coherent_dma_mask;
	err = dma_set_mask_and_coherent(&faux->dev, DMA_BIT_MASK(32));
	if (!err)
		dma_unmap_page(&faux->dev, PAGE_SIZE, PAGE_SIZE, DMA_TO_DEVICE);
	faux_device_destroy(faux);
	return err;
}

static int refcount(void)
{
	refcount_t count = REFCOUNT_INIT(1);

	refcount_dec(&count);
	return 0;
}

static int drm_mm_not_empty(void)
{
	struct drm_mm_node node = {};
	struct drm_mm mm = {};

	drm_mm_init(&mm, 0, 16);
	drm_mm_insert_node(&mm, &node, 4);
	drm_mm_takedown(&mm);
	return 0;
}

static int stack_end(void)
{
	*end_of_stack(current) = 0;
	schedule_timeout_uninterruptible(1);
	return 0;
}

static int catch(void)
{
	WRITE_ONCE(caught, true);
	wake_up(&until_caught);
	return 0;
}

static const struct {
	const char *name;
	int (*make)(void);
} mistakes[] = {
	{ "use_after_free", rust_use_after_free },
	{ "out_of_bounds", rust_out_of_bounds },
	{ "vmalloc_out_of_bounds", vmalloc_out_of_bounds },
	{ "leak", rust_leak },
	{ "page_freed_twice", page_freed_twice },
	{ "usercopy", usercopy },
	{ "array_index", array_index },
	{ "shift", shift },
	{ "not_a_bool", not_a_bool },
	{ "overflow", rust_overflow },
	{ "debug_assertion", rust_debug_assertion },
	{ "lock_order", rust_lock_order },
	{ "sleep_in_atomic", rust_sleep_in_atomic },
	{ "rcu_unlocked", rcu_unlocked },
	{ "irq_flags", irq_flags },
	{ "processor_id", processor_id },
	{ "hung_task", hung_task },
	{ "soft_lockup", busy },
	{ "rcu_stall", busy },
	{ "active_timer", active_timer },
	{ "work_on_stack", work_on_stack },
	{ "rcu_head_twice", rcu_head_twice },
	{ "percpu_counter_freed", percpu_counter_freed },
	{ "list_twice", list_twice },
	{ "scatterlist", scatterlist },
	{ "notifier", notifier },
	{ "dma_unmap", dma_unmap },
	{ "refcount", refcount },
	{ "drm_mm_not_empty", drm_mm_not_empty },
	{ "stack_end", stack_end },
	/* None, but the end of those that wait. */
	{ "catch", catch },
};

static ssize_t mistake_write(struct file *file, const char __user *from, size_t count,
			     loff_t *pos)
{
	char name[32];
	size_t i;
	int err;

	if (count >= sizeof(name) || copy_from_user(name, from, count))
		return -EINVAL;
	name[count] = '\0';
	usercopy_to = (char __user *)from;
	for (i = 0; i < ARRAY_SIZE(mistakes); i++) {
		if (!sysfs_streq(name, mistakes[i].name))
			continue;
		err = mistakes[i].make();
		return err ?: count;
	}
	return -EINVAL;
}

static const struct file_operations mistake_fops = {
	.owner = THIS_MODULE,
	.write = mistake_write,
};

/* Never to be unloaded: some of the mistakes leave the file open for good. */
static int __init checkers_init(void)
{
	debugfs_create_file("mistake", 0200, NULL, NULL, &mistake_fops);
	return 0;
}
module_init(checkers_init);

MODULE_DESCRIPTION("Mistakes for the kernel's checkers to catch");
MODULE_LICENSE("GPL");
