#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""profile.py --operations FILE --symbols FILE --counts FILE --top N --page FILE

Prints in which functions of the kernel the instructions of each operation are, and writes
a table of what they are for to a page.

The operations are the lines of JSON of pddgpu-bench table --profile, in order; the symbols
those of /proc/kallsyms; and the counts what the plugin (count.c) has written.
"""

import argparse
import bisect
import collections
import json
import re
import subprocess

BEGIN = "<!-- made by make bench-profile -->\n"
END = "<!-- end of the profile -->\n"
# Programs of the guest are below.
KERNEL_ADDRESSES = 0x800000000000

# What a function of the kernel is for: the first that matches. Functions of modules with a row
# of their own are not looked at.
MODULES = {"pddgpu": "pddgpu", "ttm": "TTM"}
PURPOSES = [
    ("zeroing of small allocations", r"^(__)?memset"),
    ("zeroing and copying of pages", r"clear_(high)?page|memcpy|memset_io"),
    ("slab", r"kmalloc|kfree|k(v)?realloc|kmem_cache|slab|sheaf|barn"),
    ("system call, ioctl, security modules",
     r"syscall|SYSCALL|^drm_ioctl|tomoyo|security_|apparmor|ioctl|copy_(from|to)_user|fdget|"
     r"check_(object_size|stack_object)|entry_|exit_to|bpf_lsm|prandom_u32_state"),
    ("handles", r"idr|radix|xas_|xa_|ida_|delete_node|node_tag"),
    ("offsets for mmap()", r"drm_mm|hole|drm_vma|vma_node|interval"),
    ("buddy allocator", r"buddy|split_block|mark_(free|alloc)|^rbtree_(insert|remove)"),
    ("red-black trees", r"^(__)?rb_"),
    ("reservations and fences", r"dma_resv|dma_fence|ww_mutex"),
    ("locks and lists", r"spin_|mutex|srcu|rcu|preempt|__list_|_raw_|rw_|up_read|down_|refcount"),
    ("interrupts and scheduler",
     r"irq|timer|tick|sched|wake|queue|kthread|worker|update_|ktime|idle|apic|task|sysvec"),
    ("page allocator", r"page|zone|folio"),
]


def purpose(name, module):
    if module in MODULES:
        return MODULES[module]
    for title, pattern in PURPOSES:
        if re.search(pattern, name):
            return title
    return "other parts of DRM" if module == "drm" else "other"


class Symbols:
    """The functions of the kernel by address."""

    def __init__(self, path):
        self.symbols = []
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                words = line.split()
                if len(words) in (3, 4) and words[1] in "tTwW":
                    module = words[3].strip("[]") if len(words) == 4 else "vmlinux"
                    self.symbols.append((int(words[0], 16), words[2], module))
        self.symbols.sort()
        self.addresses = [symbol[0] for symbol in self.symbols]

    def find(self, address):
        """The name and the module of the function, and whether it begins there."""
        if address < KERNEL_ADDRESSES:
            return "the program", "", False
        start, name, module = self.symbols[bisect.bisect_right(self.addresses, address) - 1]
        return name, module, start == address


def profiles(counts, symbols):
    """For each number of an operation: instructions and calls by function."""
    operations = collections.defaultdict(lambda: collections.defaultdict(lambda: [0, 0]))
    with open(counts, encoding="utf-8") as file:
        for line in file:
            number, address, instructions, count = line.split()
            name, module, begins = symbols.find(int(address, 16))
            function = operations[int(number)][name, module]
            function[0] += int(instructions) * int(count)
            function[1] += int(count) if begins else 0
    return operations


def demangled(names):
    output = subprocess.run(
        ["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True
    ).stdout
    return [re.sub(r"\[[0-9a-f]+\]", "", line) for line in output.splitlines()]


def print_functions(title, functions, count, top):
    largest = sorted(functions.items(), key=lambda item: -item[1][0])[:top]
    names = demangled([name for (name, _), _ in largest])
    print(f"\n{title}: {sum(cost for cost, _ in functions.values()) / count:,.0f}")
    for name, ((_, module), (cost, calls)) in zip(names, largest):
        print(f"{cost / count:10,.0f} {calls / count:7.2f} calls  {name[:100]} [{module}]")


def table(operations):
    rows = collections.Counter()
    for _, costs in operations:
        rows.update(costs)
    lines = ["| what for | " + " | ".join(name for name, _ in operations) + " |"]
    lines.append("|---|" + "---:|" * len(operations))
    for title, _ in rows.most_common():
        cells = (f"{costs.get(title, 0):,.0f}" for _, costs in operations)
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    cells = (f"{sum(costs.values()):,.0f}" for _, costs in operations)
    lines.append("| all | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    for name in ("operations", "symbols", "counts", "page"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--top", type=int, required=True)
    options = parser.parse_args()
    symbols = Symbols(options.symbols)
    measured = profiles(options.counts, symbols)
    with open(options.operations, encoding="utf-8") as file:
        operations = [json.loads(line) for line in file]

    columns = []
    for number, operation in enumerate(operations, 1):
        functions, count = measured[number], operation["count"]
        print_functions(f"{operation['group']}, {operation['name']}", functions, count, options.top)
        costs = collections.Counter()
        for (name, module), (cost, _) in functions.items():
            costs[purpose(name, module)] += cost / count
        columns.append((operation["name"], costs))

    wanted = [
        column
        for column, operation in zip(columns, operations)
        if operation["group"] == "create and close" and re.search(r"\b4 KiB", operation["name"])
    ]
    with open(options.page, encoding="utf-8") as file:
        page = file.read()
    start, rest = page.split(BEGIN, 1)
    end = rest.split(END, 1)[1]
    with open(options.page, "w", encoding="utf-8") as file:
        file.write(start + BEGIN + "\n" + table(wanted) + "\n" + END + end)


if __name__ == "__main__":
    main()
