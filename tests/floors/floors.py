#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Checks that imports go down.

    floors.py [--dot CRATE] [ROOT]

Each crate has a file FLOORS: one line a floor, lowest first, with the modules on it as paths below
the crate's source folder, without `.rs`. A folder stands for all files in it. A file may import
from floors below its own. Files of one floor may import from each other if that makes no circle,
and a module that only re-exports its children is above them.

Reports each import that goes up, each circle, and each file that no floor names, and exits with 1
if there is any. --dot prints the floors of one crate as a graph for graphviz instead.
"""
import argparse
import collections
import pathlib
import re
import sys

# Crate folder, source folder in it, files that are the root module.
CRATES = [
    ("rust", ".", ["pddgpu"]),
    ("vdev", "src", ["main", "lib"]),
    ("tools/libpddgpu", "src", ["lib"]),
    ("tools/pddgpuctl", "src", ["main"]),
    ("tests/e2e", "src", ["main", "lib"]),
    ("tests/fuzz", "src", ["main"]),
]

TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|b?r#*"(?:.|\n)*?"#*|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\\n])\'', re.S
)


def blank(match):
    """Takes a comment or a literal out, but leaves its lines."""
    return re.sub(r"[^\n]", " ", match.group(0))


def without_tests(text):
    """Blanks modules that exist only in tests, which may look at everything."""
    out, at = [], 0
    for match in re.finditer(r"#\[cfg\((?:test|CONFIG_KUNIT)\)\]\s*(?:#\[[^\]]*\]\s*)*", text):
        if match.start() < at:
            continue
        end = match.end()
        depth = 0
        while end < len(text):
            if text[end] == "{":
                depth += 1
            elif text[end] == "}":
                depth -= 1
                if depth == 0:
                    end += 1
                    break
            elif text[end] in ";," and depth == 0:
                end += 1
                break
            end += 1
        out.append(text[at : match.start()])
        out.append(re.sub(r"[^\n]", " ", text[match.start() : end]))
        at = end
    return "".join(out) + text[at:]


def expand(tree, prefix=()):
    """The paths of a use tree: `a::{b, c::D as E}` are a::b and a::c::D."""
    tree = tree.strip()
    if "{" not in tree:
        path = [part.strip() for part in tree.split(" as ")[0].split("::")]
        if path and path[-1] == "self":
            path.pop()
        yield prefix + tuple(part for part in path if part)
        return
    head, _, rest = tree.partition("{")
    prefix += tuple(part.strip() for part in head.split("::") if part.strip())
    depth, start = 0, 0
    body = rest[: rest.rindex("}")]
    for index, char in enumerate(body + ","):
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
        elif char == "," and depth == 0:
            if body[start:index].strip():
                yield from expand(body[start:index], prefix)
            start = index + 1


class Crate:
    """The files of a crate, and the arrows between them."""

    def __init__(self, root, folder, source, roots):
        self.folder = folder
        self.source = root / folder / source
        self.roots = roots
        self.problems = []
        names = (
            path.relative_to(self.source).with_suffix("").as_posix()
            for path in sorted(self.source.rglob("*.rs"))
            if not path.name.endswith("_generated.rs")
        )
        self.files = [name for name in names if not re.search(r"(^|/|_)tests?(/|$)", name)]
        self.floor = {}
        self.read_floors(root / folder / "FLOORS")
        # (from, to) -> line of the first import
        self.arrows = {}
        for name in self.files:
            self.read_imports(name)

    def read_floors(self, path):
        lines = (line.split("#")[0].split() for line in path.read_text().splitlines())
        self.floors = [line for line in lines if line]
        named = {}
        for number, modules in enumerate(self.floors):
            for module in modules:
                named[module] = number
        for name in self.files:
            parts = name.split("/")
            for length in range(len(parts), 0, -1):
                if "/".join(parts[:length]) in named:
                    self.floor[name] = named["/".join(parts[:length])]
                    break
            else:
                self.problems.append(f"{self.path(name)}: no floor of {self.folder}/FLOORS names it")

    def path(self, name):
        return (self.source / name).with_suffix(".rs")

    def module(self, name):
        """The module path of a file."""
        return () if name in self.roots else tuple(name.removesuffix("/mod").split("/"))

    def file_of(self, path):
        """The file that has a module or item: the longest prefix of its path that is a file."""
        for length in range(len(path), 0, -1):
            for name in ("/".join(path[:length]), "/".join(path[:length]) + "/mod"):
                if name in self.files:
                    return name
        return None

    def read_imports(self, name):
        text = without_tests(TOKEN.sub(blank, self.path(name).read_text()))
        here = self.module(name)
        uses = r"\buse\s+((?:crate|super|self)\b[^;]*);"
        found = [
            (match.start(), path) for match in re.finditer(uses, text) for path in expand(match[1])
        ]
        rest = re.sub(uses, lambda match: re.sub(r"[^\n]", " ", match[0]), text)
        inline = r"(?<![\w:])\$?((?:crate|super)(?:::\w+)+)"
        found += [
            (match.start(), tuple(match[1].split("::"))) for match in re.finditer(inline, rest)
        ]
        for position, path in found:
            base = here
            if path[0] == "crate":
                base, path = (), path[1:]
            elif path[0] == "self":
                path = path[1:]
            while path and path[0] == "super":
                base, path = base[:-1], path[1:]
            target = self.file_of(base + path)
            if target is None and path and self.roots:
                target = next((root for root in self.roots if root in self.files), None)
            if target is not None and target != name:
                line = text.count("\n", 0, position) + 1
                self.arrows.setdefault((name, target), line)

    def check(self):
        """Adds the imports that go up, and the circles, to the problems."""
        up = 0
        for (source, target), line in sorted(self.arrows.items()):
            if source not in self.floor or target not in self.floor:
                continue
            climb = self.floor[target] - self.floor[source]
            if climb > 0:
                up += 1
                floors = "1 floor" if climb == 1 else f"{climb} floors"
                self.problems.append(
                    f"{self.path(source)}:{line}: imports {target}, which is {floors} up"
                )
        circles = [part for part in components(self.files, self.arrows) if len(part) > 1]
        for circle in circles:
            self.problems.append(f"{self.folder}: circle of {', '.join(sorted(circle))}")
        return (
            f"{self.folder}: {len(self.files)} files, {len(self.arrows)} imports, "
            f"{up} up, {len(circles)} circles"
        )

    def dot(self):
        """The floors as a graph: a row a floor, an arrow where a module imports from another."""

        def group(name):
            for modules in self.floors:
                for module in modules:
                    if name == module or name.startswith(module + "/"):
                        return module
            return name

        edges = {(group(a), group(b)) for a, b in self.arrows if group(a) != group(b)}
        print("digraph {\n\trankdir=BT;\n\tnode [shape=box];")
        for modules in self.floors:
            print("\t{ rank=same; " + " ".join(f'"{module}";' for module in modules) + " }")
        for a, b in sorted(edges):
            print(f'\t"{b}" -> "{a}" [dir=back];')
        print("}")


def components(nodes, arrows):
    """The strongly connected components of a graph, by Kosaraju's two walks."""
    ahead, back = collections.defaultdict(list), collections.defaultdict(list)
    for a, b in arrows:
        ahead[a].append(b)
        back[b].append(a)

    def walk(start, graph, seen):
        order, stack = [], [(start, iter(graph[start]))]
        seen.add(start)
        while stack:
            node, following = stack[-1]
            nxt = next((other for other in following if other not in seen), None)
            if nxt is None:
                order.append(node)
                stack.pop()
            else:
                seen.add(nxt)
                stack.append((nxt, iter(graph[nxt])))
        return order

    seen, order = set(), []
    for node in nodes:
        if node not in seen:
            order += walk(node, ahead, seen)
    seen.clear()
    return [walk(node, back, seen) for node in reversed(order) if node not in seen]


def abstractions(crate):
    """Abstractions know nothing of the driver, and have all of its unsafe code."""
    for name in crate.files:
        text = crate.path(name).read_text()
        if name.split("/")[0] == "abstractions":
            for number, line in enumerate(text.splitlines(), 1):
                if "pddgpu" in line.lower():
                    yield f"{crate.path(name)}:{number}: an abstraction names the driver"
        elif name.split("/")[0] != "bindings":
            code = TOKEN.sub(blank, text)
            for match in re.finditer(r"\bunsafe\b", code):
                number = code.count("\n", 0, match.start()) + 1
                yield f"{crate.path(name)}:{number}: unsafe outside of the abstractions"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dot", metavar="CRATE", help="print the graph of one crate")
    parser.add_argument("root", nargs="?", type=pathlib.Path, default=pathlib.Path("."))
    options = parser.parse_args()

    problems = []
    for folder, source, roots in CRATES:
        if options.dot and folder != options.dot:
            continue
        crate = Crate(options.root, folder, source, roots)
        if options.dot:
            crate.dot()
            return 0
        summary = crate.check()
        if folder == "rust":
            crate.problems += abstractions(crate)
        print(("not ok  " if crate.problems else "ok      ") + summary)
        for problem in crate.problems:
            print("        " + problem)
        problems.append(len(crate.problems))
    failed = sum(1 for count in problems if count)
    print(f"{len(problems) - failed} passed, {failed} failed")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
