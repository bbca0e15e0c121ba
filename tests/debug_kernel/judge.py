#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""judge.py names | judge.py log LOG…: tells which mistakes to make, or which were caught.

A mistake was caught if its checker's report is in the kernel's log after the line that names the
mistake, and if what vm/run looks for in a log is there too.
"""

import pathlib
import re
import sys

import kernel_log

# The mistakes of checkers.ko in the order of making, what catches each, and what that says. Lockdep
# and with it PROVE_RCU come first: the first report of lockdep's or KASAN's puts an end to them. What
# kmemleak finds is told at the end.
MISTAKES = (
    ("rcu_unlocked", "PROVE_RCU", r"suspicious RCU usage"),
    ("lock_order", "PROVE_LOCKING", r"possible circular locking dependency detected"),
    ("sleep_in_atomic", "DEBUG_ATOMIC_SLEEP", r"sleeping function called from invalid context"),
    ("irq_flags", "DEBUG_IRQFLAGS", r"raw_local_irq_restore\(\) called with IRQs enabled"),
    ("processor_id", "DEBUG_PREEMPT", r"using smp_processor_id\(\) in preemptible"),
    ("active_timer", "DEBUG_OBJECTS_TIMERS", r"ODEBUG: free active .* type: timer_list"),
    ("work_on_stack", "DEBUG_OBJECTS_WORK", r"ODEBUG: object \S+ is on stack"),
    ("rcu_head_twice", "DEBUG_OBJECTS_RCU_HEAD", r"ODEBUG: activate active .* type: rcu_head"),
    ("percpu_counter_freed", "DEBUG_OBJECTS_PERCPU_COUNTER",
     r"ODEBUG: free active .* type: percpu_counter"),
    ("list_twice", "DEBUG_LIST", r"list_del corruption"),
    ("notifier", "DEBUG_NOTIFIERS", r"Invalid notifier called"),
    ("dma_unmap", "DMA_API_DEBUG",
     r"DMA-API: .* tries to free DMA memory it has not allocated"),
    ("refcount", "refcount_t", r"refcount_t: "),
    ("drm_mm_not_empty", "DRM_DEBUG_MM", r"node \[.*\]: inserted at"),
    ("array_index", "UBSAN_BOUNDS", r"UBSAN: array-index-out-of-bounds"),
    ("shift", "UBSAN_SHIFT", r"UBSAN: shift-out-of-bounds"),
    ("not_a_bool", "UBSAN_BOOL", r"UBSAN: invalid-load"),
    ("hung_task", "DETECT_HUNG_TASK", r"blocked for more than \d+ seconds"),
    ("soft_lockup", "SOFTLOCKUP_DETECTOR", r"BUG: soft lockup"),
    ("rcu_stall", "RCU_STALL_COMMON", r"rcu_preempt .*detected stalls?"),
    ("use_after_free", "KASAN", r"KASAN: slab-use-after-free in .*rust_use_after_free"),
    ("out_of_bounds", "KASAN", r"KASAN: slab-out-of-bounds in .*rust_out_of_bounds"),
    ("vmalloc_out_of_bounds", "KASAN_VMALLOC", r"KASAN: vmalloc-out-of-bounds"),
    ("page_freed_twice", "DEBUG_VM", r"page dumped because: VM_BUG_ON_PAGE"),
    ("usercopy", "HARDENED_USERCOPY", r"usercopy: Kernel memory exposure attempt"),
    ("scatterlist", "DEBUG_SG", r"kernel BUG at .*scatterlist\.h"),
    ("overflow", "RUST_OVERFLOW_CHECKS", r"attempt to add with overflow"),
    ("debug_assertion", "RUST_DEBUG_ASSERTIONS", r"assertion failed: black_box"),
    ("leak", "DEBUG_KMEMLEAK", r"unreferenced object 0x"),
)
# The end of its VM.
LAST = ("stack_end", "SCHED_STACK_END_CHECK", r"corrupted stack end detected")


def sections(log):
    """What the log has after each mistake's name, up to the next one's."""
    parts = re.split(r"^.*\bmistake: (\w+)\n", log.read_text(errors="replace"), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def main():
    what, *logs = sys.argv[1:]
    if what == "names":
        print(*(name for name, _, _ in MISTAKES))
        return 0
    said = {name: text for log in logs for name, text in sections(pathlib.Path(log)).items()}
    failed = 0
    for name, checker, report in (*MISTAKES, LAST):
        text = said.get(name, "")
        if re.search(report, text) and kernel_log.PROBLEM.search(text):
            print(f"ok      {checker} catches {name}")
        else:
            print(f"FAILED  {checker} catches {name}", *text.splitlines(), sep="\n        ")
            failed += 1
    print(f"{len(MISTAKES) + 1 - failed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
