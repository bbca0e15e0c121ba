#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""profile.py WORK-DIR PDDGPU.KO LOG…: a table of the lines and branches that ran in VMs.

The logs are the kernel logs of those VMs. The counters that coverage.c wrote to them become a
profile for llvm-cov, in the text form that llvm-profdata reads.
"""

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


def main():
    work, module, *logs = map(pathlib.Path, sys.argv[1:])
    runs = [counters(log) for log in logs]
    if not all(runs) or len({len(run) for run in runs}) != 1:
        sys.exit("the logs' counters are not those of one module: "
                 f"{[len(run) for run in runs]}")
    made = profile(work, module, [sum(values) for values in zip(*runs)])
    report = subprocess.run(["llvm-cov", "export", "-summary-only", "-instr-profile", made, module],
                            check=True, stdout=subprocess.PIPE).stdout
    files = {}
    for file in json.loads(report)["data"][0]["files"]:
        name = pathlib.Path(os.path.normpath(file["filename"]))
        if name.is_relative_to(SOURCES) and not name.match("*_generated.rs"):
            files[str(name.relative_to(SOURCES))] = file["summary"]
    table(files)


main()
