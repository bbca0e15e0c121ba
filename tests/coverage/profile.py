#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""profile.py WORK-DIR PDDGPU.KO LOG… [--beyond LOG…]

A table of the lines and branches that ran in VMs; or, with --beyond, a list of the lines that ran
in the VMs of the logs after it, and in none of those before it.

The logs are the kernel logs of those VMs. The counters that coverage.c wrote to them become a
profile for llvm-cov, in the text form that llvm-profdata reads.
"""

import argparse
import collections
import hashlib
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import zlib

# struct __llvm_profile_data of LLVM 19: what is not read here is skipped.
RECORD = struct.Struct("<QQ32xI12x")
RELOCATION = struct.Struct("<QQq")

SOURCES = pathlib.Path(__file__).resolve().parents[2] / "rust"

# What wraps C: the driver itself is everything else.
WRAPPERS = re.compile(r"(abstractions|bindings)(\.rs|/)|trace\.rs")


def counters(log):
    """What coverage.c wrote, in the order of the counters."""
    numbers = []
    for line in log.read_text(errors="replace").splitlines():
        if found := re.search(r"\bcoverage: counters((?: [0-9a-f]+)+)$", line):
            numbers += [int(number, 16) for number in found[1].split()]
    return numbers


def uleb128(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7f) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            return value, at


def names(data):
    """The functions' names, which lie in compressed pieces."""
    at = 0
    while at < len(data):
        if data[at] == 0:
            at += 1
            continue
        length, at = uleb128(data, at)
        compressed, at = uleb128(data, at)
        piece = data[at:at + (compressed or length)]
        at += len(piece)
        text = zlib.decompress(piece) if compressed else piece
        yield from text.decode().split("\1")


def profile(work, module, sums):
    """Writes the profile of a module whose counters have these values."""
    sections = {}
    for name in ("__llvm_prf_data", ".rela__llvm_prf_data", "__llvm_prf_names"):
        sections[name] = work / name.lstrip(".")
    subprocess.run(["llvm-objcopy", *(f"--dump-section={name}={path}" for name, path in
                    sections.items()), module, work / "copy.ko"], check=True)
    data, relocations, texts = (path.read_bytes() for path in sections.values())

    # Each record points to its first counter, which it says relative to itself.
    first = {}
    for offset, _info, addend in RELOCATION.iter_unpack(relocations):
        first[offset // RECORD.size] = (addend - offset % RECORD.size) // 8
    records = {}
    for number, (name, checksum, count) in enumerate(RECORD.iter_unpack(data)):
        records[name] = (checksum, sums[first[number]:first[number] + count])

    with open(work / "profile.txt", "w") as out:
        for name in names(texts):
            if record := records.get(name_hash(name)):
                checksum, values = record
                print(name, checksum, len(values), *values, "", sep="\n", file=out)
    subprocess.run(["llvm-profdata", "merge", "-o", work / "profile", work / "profile.txt"],
                   check=True)
    return work / "profile"


def name_hash(name):
    return int.from_bytes(hashlib.md5(name.encode()).digest()[:8], "little")


def table(files):
    """Of each file, the lines and branches that ran, out of all."""
    sums = {True: [0] * 4, False: [0] * 4}
    print("| file | lines | of them run | | branches | of them taken | |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, summary in sorted(files.items()):
        numbers = [summary[kind][which] for kind in ("lines", "branches")
                   for which in ("count", "covered")]
        side = sums[not WRAPPERS.match(name)]
        side[:] = map(sum, zip(side, numbers))
        row(f"`{name}`", *numbers)
    row("**driver**", *sums[True])
    row("**abstractions**", *sums[False])


def row(name, *numbers):
    cells = [name]
    for count, covered in zip(numbers[::2], numbers[1::2]):
        share = f"{100 * covered / count:.1f} %" if count else ""
        cells += [count, covered, share]
    print("|", " | ".join(map(str, cells)), "|")


def source(filename):
    """The name of a file of the driver, or None for what is not written by hand there."""
    path = pathlib.Path(os.path.normpath(filename))
    if path.is_relative_to(SOURCES) and not path.match("*_generated.rs"):
        return str(path.relative_to(SOURCES))


def export(work, module, logs, *arguments):
    """What llvm-cov says of the runs that these logs are of."""
    runs = [counters(log) for log in logs]
    if not all(runs) or len({len(run) for run in runs}) != 1:
        sys.exit("the logs' counters are not those of one module: "
                 f"{[len(run) for run in runs]}")
    made = profile(work, module, [sum(values) for values in zip(*runs)])
    return subprocess.run(["llvm-cov", "export", *arguments, "-instr-profile", made, module],
                          check=True, stdout=subprocess.PIPE, text=True).stdout


def lines(work, module, logs):
    """The lines that ran, as pairs of a file and a number."""
    name = None
    for line in export(work, module, logs, "-format=lcov").splitlines():
        kind, _, text = line.partition(":")
        if kind == "SF":
            name = source(text)
        elif kind == "DA" and name:
            number, count, *_ = map(int, text.split(","))
            if count:
                yield name, number


def beyond(new):
    """The lines of each file, and how many there are in all."""
    by_file = collections.defaultdict(list)
    for name, number in sorted(new):
        by_file[name].append(str(number))
    for name, numbers in by_file.items():
        print(f"{name}: {', '.join(numbers)}")
    print(f"{len(new)} lines that the tests do not reach")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("module", type=pathlib.Path)
    parser.add_argument("logs", type=pathlib.Path, nargs="+")
    parser.add_argument("--beyond", type=pathlib.Path, nargs="+")
    args = parser.parse_args()
    if args.beyond:
        found, tested = (set(lines(args.work, args.module, logs))
                         for logs in (args.beyond, args.logs))
        beyond(found - tested)
        return
    report = json.loads(export(args.work, args.module, args.logs, "-summary-only"))
    table({name: file["summary"] for file in report["data"][0]["files"]
           if (name := source(file["filename"]))})


main()
