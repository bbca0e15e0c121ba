#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes a list of operations shorter that brings the driver down.

    shorten.py [--boots N] [--out FOLDER] LIST -- VM-COMMAND…

Leaves parts of the list out, smaller and smaller ones, as long as the rest still fails. Each
boot of the VM tries several lists, one after the other, until one fails. Prints the shortest.
"""
import argparse
import pathlib
import re
import subprocess
import sys

# How often a list is played that is said not to fail.
TIMES = 3


class Machine:
    """The VM, and how often it may still be booted."""

    def __init__(self, command, folder, boots):
        self.command = command
        self.folder = folder
        self.boots = boots

    def first_that_fails(self, candidates):
        """The index of the first list that fails, or None."""
        if self.boots == 0 or not candidates:
            return None
        self.boots -= 1
        files = []
        for number, operations in enumerate(candidates):
            path = self.folder / f"list-{number}"
            path.write_text("".join(operations))
            files += ["--add", f"{path}:/lists/{number}"]
        names = [f"/lists/{number}" for number in range(len(candidates))]
        command = [*self.command, *files, "--", "pddgpu-fuzz", "replay", "--times", str(TIMES)]
        done = subprocess.run(
            [*command, *names], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        log = (self.folder / "log").read_text(errors="replace")
        played = re.findall(r"pddgpu-fuzz: playing /lists/(\d+)", log)
        if done.returncode == 0 or not played:
            return None
        return int(played[-1])


def shorten(machine, operations):
    """Delta debugging: the classic one, but for several tries in a boot."""
    parts = 2
    while len(operations) > 1 and machine.boots > 0:
        size = -(-len(operations) // parts)
        chunks = [operations[at : at + size] for at in range(0, len(operations), size)]
        # One part alone first, then all but one.
        candidates = list(chunks) if parts == 2 else []
        if parts > 2:
            for left_out in range(len(chunks)):
                rest = chunks[:left_out] + chunks[left_out + 1 :]
                candidates.append([line for chunk in rest for line in chunk])
        index = machine.first_that_fails(candidates)
        if index is not None:
            operations = candidates[index]
            parts = max(parts - 1, 2)
            print(f"{len(operations)} operations are enough", flush=True)
        elif size == 1:
            break
        else:
            parts = min(parts * 2, len(operations))
    return operations


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--boots", type=int, default=10)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("."))
    parser.add_argument("list", type=pathlib.Path)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    operations = options.list.read_text().splitlines(keepends=True)
    machine = Machine(options.command, options.out, options.boots)
    if machine.first_that_fails([operations]) is None:
        print("it does not fail when its round is played alone")
        return 1
    # Threads come one after the other in the list, so that the first parts are threads.
    operations = shorten(machine, operations)
    print(f"these {len(operations)} operations fail (pddgpu-fuzz replay FILE):")
    print("".join(operations), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
