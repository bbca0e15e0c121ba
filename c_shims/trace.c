// SPDX-License-Identifier: GPL-2.0
/* Trace events: what <trace/define_trace.h> makes of their descriptions. */

#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include "pddgpu_trace.h"
