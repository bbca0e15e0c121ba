/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trace events for the life of a buffer. docs/tracing.md describes them; the
 * driver's side is rust/trace.rs.
 *
 * Rust calls them with any values, so an event may use a pointer only to read
 * what its type says, and only until it returns.
 */

#undef TRACE_SYSTEM
#define TRACE_SYSTEM pddgpu
#define TRACE_INCLUDE_FILE pddgpu_trace
#define TRACE_INCLUDE_PATH .

#if !defined(_PDDGPU_TRACE_H_) || defined(TRACE_HEADER_MULTI_READ)
#define _PDDGPU_TRACE_H_

#include <linux/device.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <linux/types.h>

#include "../include/uapi/drm/pddgpu_drm.h"

/* Room for an address on the PCI bus; an array, as bpftrace reads it best. */
#define PDDGPU_TRACE_DEV_LEN		24

/* What becomes of a leak, beside what user space calls its state. */
#define PDDGPU_TRACE_LEAK_FREED		3

#define pddgpu_show_domain(domain)					\
	__print_symbolic(domain,					\
		{ 0,				"-" },		\
		{ PDDGPU_GEM_DOMAIN_CPU,	"CPU" },		\
		{ PDDGPU_GEM_DOMAIN_GTT,	"GTT" },		\
		{ PDDGPU_GEM_DOMAIN_VRAM,	"VRAM" })

#define pddgpu_show_domains(domains)					\
	__print_flags(domains, "|",					\
		{ PDDGPU_GEM_DOMAIN_VRAM,	"VRAM" },		\
		{ PDDGPU_GEM_DOMAIN_GTT,	"GTT" },		\
		{ PDDGPU_GEM_DOMAIN_CPU,	"CPU" })

#define pddgpu_show_create_flags(flags)					\
	__print_flags(flags, "|",					\
		{ PDDGPU_GEM_CREATE_CPU_ACCESS_REQUIRED, "CPU_ACCESS_REQUIRED" }, \
		{ PDDGPU_GEM_CREATE_NO_CPU_ACCESS,	"NO_CPU_ACCESS" }, \
		{ PDDGPU_GEM_CREATE_VRAM_CLEARED,	"VRAM_CLEARED" }, \
		{ PDDGPU_GEM_CREATE_VRAM_CONTIGUOUS,	"VRAM_CONTIGUOUS" })

#define pddgpu_show_leak_state(state)					\
	__print_symbolic(state,						\
		{ PDDGPU_LEAK_SUSPECTED,	"suspected" },		\
		{ PDDGPU_LEAK_CONFIRMED,	"confirmed" },		\
		{ PDDGPU_TRACE_LEAK_FREED,	"freed" })

TRACE_EVENT(pddgpu_bo_create,
	    TP_PROTO(const struct device *dev, u64 id, u64 size, u32 domains,
		     u32 flags, u32 placement, u64 duration),
	    TP_ARGS(dev, id, size, domains, flags, placement, duration),

	    TP_STRUCT__entry(__array(char, dev, PDDGPU_TRACE_DEV_LEN)
			     __field(u64, id)
			     __field(u64, size)
			     __field(u32, domains)
			     __field(u32, flags)
			     __field(u32, placement)
			     __field(u64, duration)),

	    TP_fast_assign(strscpy_pad(__entry->dev, dev_name(dev));
			   __entry->id = id;
			   __entry->size = size;
			   __entry->domains = domains;
			   __entry->flags = flags;
			   __entry->placement = placement;
			   __entry->duration = duration;),

	    TP_printk("dev=%s id=%llu size=%llu B domains=%s flags=%s placement=%s duration=%llu ns",
		      __entry->dev, __entry->id, __entry->size,
		      __entry->domains ? pddgpu_show_domains(__entry->domains) : "-",
		      __entry->flags ? pddgpu_show_create_flags(__entry->flags) : "-",
		      pddgpu_show_domain(__entry->placement), __entry->duration)
);

TRACE_EVENT(pddgpu_bo_free,
	    TP_PROTO(const struct device *dev, u64 id, u64 size, u64 lifetime,
		     u64 duration),
	    TP_ARGS(dev, id, size, lifetime, duration),

	    TP_STRUCT__entry(__array(char, dev, PDDGPU_TRACE_DEV_LEN)
			     __field(u64, id)
			     __field(u64, size)
			     __field(u64, lifetime)
			     __field(u64, duration)),

	    TP_fast_assign(strscpy_pad(__entry->dev, dev_name(dev));
			   __entry->id = id;
			   __entry->size = size;
			   __entry->lifetime = lifetime;
			   __entry->duration = duration;),

	    TP_printk("dev=%s id=%llu size=%llu B lifetime=%llu ns duration=%llu ns",
		      __entry->dev, __entry->id, __entry->size,
		      __entry->lifetime, __entry->duration)
);

TRACE_EVENT(pddgpu_bo_move,
	    TP_PROTO(const struct device *dev, u64 id, u64 size, u32 from, u32 to,
		     bool evict, u64 duration, int ret),
	    TP_ARGS(dev, id, size, from, to, evict, duration, ret),

	    TP_STRUCT__entry(__array(char, dev, PDDGPU_TRACE_DEV_LEN)
			     __field(u64, id)
			     __field(u64, size)
			     __field(u32, from)
			     __field(u32, to)
			     __field(bool, evict)
			     __field(int, ret)
			     __field(u64, duration)),

	    TP_fast_assign(strscpy_pad(__entry->dev, dev_name(dev));
			   __entry->id = id;
			   __entry->size = size;
			   __entry->from = from;
			   __entry->to = to;
			   __entry->evict = evict;
			   __entry->ret = ret;
			   __entry->duration = duration;),

	    TP_printk("dev=%s id=%llu size=%llu B from=%s to=%s evict=%d duration=%llu ns ret=%d",
		      __entry->dev, __entry->id, __entry->size,
		      pddgpu_show_domain(__entry->from),
		      pddgpu_show_domain(__entry->to), __entry->evict,
		      __entry->duration, __entry->ret)
);

TRACE_EVENT(pddgpu_bo_label,
	    TP_PROTO(const struct device *dev, u64 id,
		     const char (*label)[DRM_PDDGPU_LABEL_SIZE]),
	    TP_ARGS(dev, id, label),

	    TP_STRUCT__entry(__array(char, dev, PDDGPU_TRACE_DEV_LEN)
			     __field(u64, id)
			     __array(char, label, DRM_PDDGPU_LABEL_SIZE)),

	    TP_fast_assign(strscpy_pad(__entry->dev, dev_name(dev));
			   __entry->id = id;
			   strscpy_pad(__entry->label, *label);),

	    TP_printk("dev=%s id=%llu label=%s", __entry->dev, __entry->id,
		      __entry->label)
);

TRACE_EVENT(pddgpu_bo_evict,
	    TP_PROTO(const struct device *dev, u64 id, u64 size, u32 from, u32 to),
	    TP_ARGS(dev, id, size, from, to),

	    TP_STRUCT__entry(__array(char, dev, PDDGPU_TRACE_DEV_LEN)
			     __field(u64, id)
			     __field(u64, size)
			     __field(u32, from)
			     __field(u32, to)),

	    TP_fast_assign(strscpy_pad(__entry->dev, dev_name(dev));
			   __entry->id = id;
			   __entry->size = size;
			   __entry->from = from;
			   __entry->to = to;),

	    TP_printk("dev=%s id=%llu size=%llu B from=%s to=%s",
		      __entry->dev, __entry->id, __entry->size,
		      pddgpu_show_domain(__entry->from),
		      pddgpu_show_domain(__entry->to))
);

TRACE_EVENT(pddgpu_leak,
	    TP_PROTO(const struct device *dev, u64 id, u64 size, u32 state, u64 age,
		     int pid, const char (*comm)[TASK_COMM_LEN]),
	    TP_ARGS(dev, id, size, state, age, pid, comm),

	    TP_STRUCT__entry(__array(char, dev, PDDGPU_TRACE_DEV_LEN)
			     __field(u64, id)
			     __field(u64, size)
			     __field(u64, age)
			     __field(u32, state)
			     __field(int, pid)
			     __array(char, comm, TASK_COMM_LEN)),

	    TP_fast_assign(strscpy_pad(__entry->dev, dev_name(dev));
			   __entry->id = id;
			   __entry->size = size;
			   __entry->age = age;
			   __entry->state = state;
			   __entry->pid = pid;
			   strscpy_pad(__entry->comm, *comm);),

	    TP_printk("dev=%s id=%llu size=%llu B state=%s age=%llu ms pid=%d comm=%s",
		      __entry->dev, __entry->id, __entry->size,
		      pddgpu_show_leak_state(__entry->state), __entry->age,
		      __entry->pid, __entry->comm)
);

#endif /* _PDDGPU_TRACE_H_ */

/* This part must be outside the guard. */
#include <trace/define_trace.h>
