# SPDX-License-Identifier: GPL-2.0
"""Finds in a kernel log what must not be there."""

import re

# What the kernel prints when one of its checks fails. Most reports begin with one
# of the general words; the others are those of checkers that have their own.
PROBLEM = re.compile("|".join((
    r"\bWARNING:",
    r"\bBUG:",
    r"\bkernel BUG at\b",
    r"\bOops\b",
    r"\bCall Trace:",
    r"\bKernel panic\b",
    r"\bgeneral protection fault\b",
    r"\bunable to handle\b",
    r"\b(KASAN|KCSAN|KMSAN|UBSAN|KFENCE):",
    r"\bkmemleak: .*(suspected memory leak|unreferenced object)",
    r"\bunreferenced object 0x",
    r"\bpossible (recursive|circular) locking\b",
    r"\bpossible irq lock inversion\b",
    r"\binconsistent lock state\b",
    r"\bsuspicious RCU usage\b",
    r"\bINFO: trying to register non-static key\b",
    r"\bDEBUG_LOCKS_WARN_ON\b",
    r"\b(held lock freed|lock held when returning to user space)\b",
    r"\bblocked for more than \d+ seconds\b",
    r"\bdetected (expedited )?stalls?\b",
    r"\bself-detected stall\b",
    r"\b([Ss]oft|[Hh]ard) (lockup|LOCKUP)\b",
    r"\bODEBUG:",
    r"\bDMA-API: .*(failed|error|device driver)",
    r"\brefcount_t:",
    r"\blist_(add|del) corruption\b",
    r"\bpage allocation failure\b",
    r"\bscheduling while atomic\b",
    r"\bsleeping function called from invalid context\b",
    r"-+\[ cut here \]-+",
    r"\brust_kernel: panicked at\b",
    # A checker that gave up.
    r"\bturning off the locking correctness validator\b",
    r"\bODEBUG disabled\b",
    r"\bdebugging out of memory - disabling\b",
    # At 0 s it was not wanted.
    r"(?<!\[    0\.000000\] kmemleak: Kernel )\bmemory leak detector disabled\b",
)))

# When kmem_cache_create() gets no memory it shows who called it. That is no bug: a test
# had an allocation fail.
NO_CACHE = re.compile(r"\b__kmem_cache_create_args\(.*\) failed with error -\d+$")

BEFORE, AFTER, MOST = 2, 40, 200


def read(path):
    with open(path, errors="replace") as log:
        return [line.rstrip("\r\n") for line in log]


def tail(path, lines):
    return "\n".join("    " + line for line in read(path)[-lines:])


def is_no_cache(lines, number):
    """Whether the stack that begins here is that of kmem_cache_create()."""
    return "Call Trace:" in lines[number] and any(
        NO_CACHE.search(line) for line in lines[max(0, number - 5):number])


def problems(path):
    """The parts of the log around each problem, or nothing."""
    lines = read(path)
    shown = set()
    for number, line in enumerate(lines):
        if PROBLEM.search(line) and not is_no_cache(lines, number):
            shown.update(range(max(0, number - BEFORE), min(len(lines), number + AFTER)))
    parts, previous = [], None
    for number in sorted(shown)[:MOST]:
        if previous is not None and number != previous + 1:
            parts.append("    …")
        parts.append("    " + lines[number])
        previous = number
    if len(shown) > MOST:
        parts.append(f"    … and {len(shown) - MOST} lines more")
    return "\n".join(parts)
