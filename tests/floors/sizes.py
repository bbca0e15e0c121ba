#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Checks that no file and no function is too long to be read at once.

    sizes.py [ROOT]

A file of Rust or C has at most 500 lines. A function has at most 60 lines of code from its name to
its last brace; blank lines and comments do not count. Reports each that has more, and exits with 1
if there is any.
"""
import argparse
import pathlib
import re
import sys

from floors import TOKEN, blank

MAX_FILE = 500
MAX_FUNCTION = 60

FOLDERS = ["c_shims", "include", "rust", "samples", "tests", "tools", "vdev"]

# Programs include one header, most of which is its documentation.
ANY_LENGTH = ["include/uapi/drm/pddgpu_drm.h"]

RUST_FUNCTION = re.compile(r"\bfn\s+(\w+)")
C_FUNCTION = re.compile(r"^(?:[a-z][\w \t*]*[ \t*])?(\w+)\([^;{}]*\)\n(?=\{)", re.M)


def end_of_body(code, start):
    """Where the body that follows a function's name ends; None if it has none."""
    depth = 0
    for match in re.compile(r"[{}()\[\];]").finditer(code, start):
        if match[0] in "{([":
            depth += 1
        elif match[0] in "})]":
            depth -= 1
            if depth == 0 and match[0] == "}":
                return match.end()
        elif depth == 0:
            return None
    return None


def functions(text, suffix):
    """The name, the line and the lines of code of each function."""
    code = TOKEN.sub(blank, text)
    # Within literals there may be blank lines, which are code.
    lines = TOKEN.sub(lambda match: match[0] if match[0][0] not in "/" else blank(match), text)
    pattern = C_FUNCTION if suffix in (".c", ".h") else RUST_FUNCTION
    for match in pattern.finditer(code):
        end = end_of_body(code, match.end())
        if end is not None:
            length = sum(1 for line in lines[match.start() : end].splitlines() if line.strip())
            yield match[1], code.count("\n", 0, match.start(1)) + 1, length


def problems(path, text):
    """What is too long in a file."""
    length = len(text.splitlines())
    if length > MAX_FILE and not any(path.as_posix().endswith(name) for name in ANY_LENGTH):
        yield f"{path}: {length} lines, which is more than {MAX_FILE}"
    for name, line, length in functions(text, path.suffix):
        if length > MAX_FUNCTION:
            yield f"{path}:{line}: {name}() has {length} lines, which is more than {MAX_FUNCTION}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", nargs="?", type=pathlib.Path, default=pathlib.Path("."))
    root = parser.parse_args().root

    files = [
        path
        for folder in FOLDERS
        for suffix in ("rs", "c", "h")
        for path in sorted((root / folder).rglob(f"*.{suffix}"))
        if not path.name.endswith("_generated.rs")
    ]
    found = [problem for path in files for problem in problems(path, path.read_text())]
    print(("not ok  " if found else "ok      ") + f"sizes: {len(files)} files")
    for problem in found:
        print("        " + problem)
    print("0 passed, 1 failed" if found else "1 passed, 0 failed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
