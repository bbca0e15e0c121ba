// SPDX-License-Identifier: GPL-2.0
/*
 * Adds up how often each region of pddgpu's code ran, over all the times that the module is loaded
 * while this one is, and writes it to the log when this one is unloaded. The compiler counts
 * (-Cinstrument-coverage); sections.lds names the counters.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kallsyms.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/rcupdate.h>
#include <linux/string.h>

/* Several times as many as there are. */
static u64 sums[1 << 16];
static size_t counters;

static const u64 *symbol(struct module *mod, const char *name)
{
	const struct mod_kallsyms *kallsyms;
	const u64 *address = NULL;
	unsigned int i;

	rcu_read_lock();
	kallsyms = rcu_dereference(mod->kallsyms);
	for (i = 1; i < kallsyms->num_symtab; i++) {
		const Elf_Sym *sym = &kallsyms->symtab[i];

		if (!strcmp(kallsyms->strtab + sym->st_name, name))
			address = (const u64 *)sym->st_value;
	}
	rcu_read_unlock();
	return address;
}

static int module_changed(struct notifier_block *nb, unsigned long state, void *data)
{
	struct module *mod = data;
	const u64 *start, *end;
	size_t i;

	if (state != MODULE_STATE_GOING || strcmp(mod->name, "pddgpu"))
		return NOTIFY_DONE;

	start = symbol(mod, "pddgpu_counters_start");
	end = symbol(mod, "pddgpu_counters_end");
	if (!start || !end || end - start > ARRAY_SIZE(sums)) {
		pr_err("pddgpu has no counters, or too many\n");
		return NOTIFY_DONE;
	}
	counters = end - start;
	for (i = 0; i < counters; i++)
		sums[i] += start[i];
	return NOTIFY_OK;
}

static struct notifier_block notifier = {
	.notifier_call = module_changed,
};

static int __init coverage_init(void)
{
	return register_module_notifier(&notifier);
}

static void __exit coverage_exit(void)
{
	char line[512];
	size_t i, length = 0;

	unregister_module_notifier(&notifier);
	for (i = 0; i < counters; i++) {
		length += scnprintf(line + length, sizeof(line) - length, " %llx", sums[i]);
		if (i + 1 == counters || i % 16 == 15) {
			pr_info("counters%s\n", line);
			length = 0;
		}
	}
}

module_init(coverage_init);
module_exit(coverage_exit);

MODULE_DESCRIPTION("Coverage of pddgpu's code");
MODULE_LICENSE("GPL");
