#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make_patches.py SOURCE OUT REPOSITORY [BUILD]

Writes the driver as a series of patches against the kernel's source SOURCE into the folder
OUT: the user-space interface, the bindings, the abstractions one by one, the driver floor by
floor, and the documentation. Applies the series to the files of SOURCE that it changes, and
checks each patch with checkpatch --strict. With the kernel's build folder BUILD, compiles
the driver after each patch, as a module and as built in. git is this machine's; everything
else is run in the build root.
"""

import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

TREE = Path("drivers/gpu/drm/pddgpu")
HEADER = Path("include/uapi/drm/pddgpu_drm.h")
AUTHOR = "The pddgpu authors <maintainers@users.noreply.b-seed-5c50e0f8.example>"

# Columns of the kernel's code.
WIDTH = 100

# What the series is applied to.
CHANGED = ["MAINTAINERS", "Documentation/gpu/drivers.rst", "drivers/gpu/drm/Kconfig",
           "drivers/gpu/drm/Makefile"]

MAINTAINERS = f"""PDDGPU DRM DRIVER [RUST]
M:\t{AUTHOR}
L:\tdri-devel@lists.freedesktop.org
S:\tMaintained
F:\tDocumentation/gpu/pddgpu.rst
F:\tdrivers/gpu/drm/pddgpu/
F:\tinclude/uapi/drm/pddgpu_drm.h

"""

# The modules of the driver, as its floors have them.
FLOORS = [
    ("the types of the user-space interface", ["uapi"]),
    ("registers, memory controller, GART, rings and trace events", ["hw", "trace"]),
    ("statistics, and what each client has", ["memory_stats", "client"]),
    ("the resource managers and the copy engine", ["mgr", "copy_engine"]),
    ("the data of a card", ["device"]),
    ("buffers", ["bo"]),
    ("ioctls and files", ["ioctl", "debugfs", "fdinfo", "sysfs"]),
    ("probe and unbind", ["driver"]),
]


# checkpatch reminds of MAINTAINERS whenever a file is new; the first patch has the entry.
IGNORED = "FILE_PATH_CHANGES"


def run(*command, **options):
    return subprocess.run(command, check=True, text=True, **options)


def imports(text):
    """The modules of the crate that a file imports, such as abstractions::ttm."""
    for tree in re.findall(r"^use (crate::[^;]+);", text, re.M):
        tree = re.sub(r"\s+", "", re.sub(r"//.*", "", tree))
        yield from expand("", tree)


def expand(prefix, tree):
    depth, part, parts = 0, "", []
    for letter in tree:
        depth += (letter == "{") - (letter == "}")
        if letter == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += letter
    for part in filter(None, parts + [part]):
        if "{" in part:
            head, body = part.split("{", 1)
            yield from expand(prefix + head, body[:-1])
        else:
            yield prefix + part


class Series:
    """The patches, made one after the other in a git repository of their own."""

    def __init__(self, source, out, repository):
        self.source, self.out, self.repository = source, out, repository
        self.tree = out / "tree"
        self.abstractions, self.modules = [], []
        shutil.rmtree(out, ignore_errors=True)
        for name in CHANGED:
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, self.tree / name)
        self.git("init", "-q")
        self.git("add", "-A")
        self.commit("the kernel")

    def git(self, *arguments, **options):
        name, mail = re.match(r"(.*) <(.*)>", AUTHOR).groups()
        return run("git", "-c", f"user.name={name}", "-c", f"user.email={mail}", *arguments,
                   cwd=self.tree, **options)

    def commit(self, message):
        self.git("commit", "-q", "-F", "-", input=message)

    def patch(self, subject, body):
        """Makes a patch of what has been changed."""
        self.write_root()
        for path in (self.tree / TREE).rglob("*.rs"):
            path.write_text(rewrap(path.read_text()))
        self.git("add", "-A")
        self.commit(f"drm/pddgpu: {subject}\n\n{body.strip()}\n\nSigned-off-by: {AUTHOR}\n")

    def copy(self, *names):
        """Copies files and folders of the driver, where there are any of these names."""
        for name in names:
            origin, target = self.repository / name, self.tree / TREE / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if origin.is_dir():
                shutil.copytree(origin, target, dirs_exist_ok=True,
                                ignore=shutil.ignore_patterns("*_generated.rs", "FLOORS"))
            elif origin.exists():
                shutil.copy(origin, target)

    def edit(self, name, old, new):
        path = self.tree / name
        text = path.read_text()
        if old not in text:
            sys.exit(f"{name}: there is no {old!r}")
        path.write_text(text.replace(old, new, 1))

    def write_root(self):
        """The root of the crate, with the modules that there are up to now."""
        if not (self.tree / TREE / "rust").exists():
            return
        root = (self.repository / "rust/pddgpu.rs").read_text()
        kunit = (self.repository / "tests/kunit/mod.rs").read_text()
        if "driver" not in self.modules:
            names = self.modules + ["bindings"] + ["abstractions"] * bool(self.abstractions)
            lines = [f"mod {name};" for name in sorted(names)]
            head = root[:root.index("//!\n//! The modules lie")]
            root = (f"{head}\n#![allow(dead_code, unused_imports, unused_macros)]\n\n"
                    "// The driver, which comes last, uses all of it.\n"
                    + "\n".join(lines) + "\n")
            if "drm" in self.abstractions:
                root += '\n#[cfg(CONFIG_KUNIT)]\n#[path = "../tests/kunit/mod.rs"]\nmod kunit;\n'
            kunit = kunit.replace("pub(crate) mod device;\n\n", "")
        (self.tree / TREE / "rust/pddgpu.rs").write_text(root)
        if "drm" in self.abstractions:
            path = self.tree / TREE / "tests/kunit/mod.rs"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(kunit)
        if self.abstractions:
            text = (self.repository / "rust/abstractions.rs").read_text()
            head = text[:text.index("pub(crate) mod")]
            (self.tree / TREE / "rust/abstractions.rs").write_text(head + "".join(
                f"pub(crate) mod {name};\n" for name in sorted(self.abstractions)))
        shim = (self.repository / "c_shims/module.c").read_text()
        if "driver" not in self.modules:
            shim += 'MODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("Abstractions of pddgpu");\n'
        (self.tree / TREE / "c_shims/module.c").write_text(shim)

    def docs(self, name):
        """The documentation of a module, which says what it is for."""
        text = (self.repository / "rust" / f"{name}.rs").read_text()
        lines = re.findall(r"^//! ?(.*)$", text, re.M)
        body = "\n".join(lines)
        body = body.split("\nC header")[0]
        body = re.sub(r"\[`([^`]*)`\]\([^)]*\)", r"\1()", body)
        return re.sub(r"\[?`([^`]*)`\]?", r"\1", body)

    def make(self):
        self.make_uapi()
        self.make_bindings()
        for name in self.sorted_abstractions():
            self.abstractions.append(name)
            self.copy(f"rust/abstractions/{name}.rs", f"rust/abstractions/{name}",
                      f"tests/kunit/abstractions/{name}.rs", f"tests/kunit/abstractions/{name}")
            self.patch(f"abstractions: {name}", wrap(self.docs(f"abstractions/{name}")))
        for subject, names in FLOORS:
            for name in names:
                self.modules.append(name)
                self.copy(f"rust/{name}.rs", f"rust/{name}", f"tests/kunit/{name}.rs",
                          f"tests/kunit/{name}")
            self.patch(subject, wrap("\n\n".join(
                self.docs(name).split("\n\n")[0] for name in names)))
        self.make_documentation()

    def make_uapi(self):
        text = (self.tree / "MAINTAINERS").read_text()
        following = next(title for title in re.findall(r"^([A-Z0-9][^\n]*)\nM:", text, re.M)
                         if title > "PDDGPU" and title[0] == "P")
        self.edit("MAINTAINERS", f"\n{following}\nM:", f"\n{MAINTAINERS}{following}\nM:")
        (self.tree / HEADER).parent.mkdir(parents=True)
        shutil.copy(self.repository / HEADER, self.tree / HEADER)
        self.patch("the user-space interface", wrap(
            "The driver manages the memory of PDDGPU cards. Programs create buffers in VRAM, GTT "
            "or system memory, map them, move and copy them, and ask who has how much."))

    def make_bindings(self):
        self.copy("rust/bindings.rs", "rust/bindings", "c_shims", "Kconfig")
        kbuild = (self.repository / "Kbuild").read_text()
        # What serves measurements, the samples and the documentation out of the tree.
        for start, end in [("# PDDGPU_STATS=n", "RUSTFLAGS_rust"),
                           ("# PDDGPU_COVERAGE=y", "# PDDGPU_RUSTDOC"),
                           ("# PDDGPU_RUSTDOC", None), ("# CONFIG_DRM_TTM_SAMPLE", "targets +=")]:
            if start in kbuild:
                first = kbuild.index(start)
                last = kbuild.index(end, first) if end else len(kbuild)
                kbuild = kbuild[:first] + kbuild[last:]
        kbuild = re.sub(r"(PDDGPU_GENERATED=\S+) \\\n.*pddgpu_no_stats\)\n", r"\1\n", kbuild)
        (self.tree / TREE / "Makefile").write_text(kbuild.rstrip() + "\n")
        self.edit(TREE / "rust/bindings/uapi.h", '"../../include/uapi/drm/pddgpu_drm.h"',
                  "<uapi/drm/pddgpu_drm.h>")
        self.edit(TREE / "c_shims/pddgpu_trace.h", '"../include/uapi/drm/pddgpu_drm.h"',
                  "<uapi/drm/pddgpu_drm.h>")
        self.edit("drivers/gpu/drm/Kconfig", 'source "drivers/gpu/drm/panthor/Kconfig"\n',
                  'source "drivers/gpu/drm/panthor/Kconfig"\n'
                  'source "drivers/gpu/drm/pddgpu/Kconfig"\n')
        self.edit("drivers/gpu/drm/Makefile", "obj-$(CONFIG_DRM_PANTHOR) += panthor/\n",
                  "obj-$(CONFIG_DRM_PANTHOR) += panthor/\nobj-$(CONFIG_DRM_PDDGPU) += pddgpu/\n")
        self.patch("bindings, and shims for inline functions", wrap(
            "The bindings crate of the kernel has neither TTM nor the DRM headers that a driver "
            "with memory of its own needs, and inline functions and macros have no symbol to "
            "link to."))

    def sorted_abstractions(self):
        """Each after those that it imports."""
        root = self.repository / "rust/abstractions"
        needs = {}
        for path in sorted(root.glob("*.rs")):
            name, found = path.stem, set()
            for file in [path, *sorted((root / path.stem).rglob("*.rs"))]:
                for used in imports(file.read_text()):
                    words = used.split("::")
                    if words[1] == "abstractions" and len(words) > 2:
                        found.add(words[2])
            needs[name] = found - {name}
        done = []
        while len(done) < len(needs):
            ready = [name for name in needs if name not in done and needs[name] <= set(done)]
            if not ready:
                sys.exit(f"a circle among {sorted(set(needs) - set(done))}")
            done += ready
        return done

    def make_documentation(self):
        shutil.copy(self.repository / "upstream/pddgpu.rst",
                    self.tree / "Documentation/gpu/pddgpu.rst")
        self.edit("Documentation/gpu/drivers.rst", "   panthor\n", "   panthor\n   pddgpu\n")
        self.patch("documentation", "What the driver is for, its layers, and its user-space "
                   "interface.")

    def write(self):
        """Writes the patches, and gives their paths."""
        base = run("git", "rev-list", "--max-parents=0", "HEAD", cwd=self.tree,
                   capture_output=True).stdout.strip()
        self.git("format-patch", "-q", "--no-signature", "-o", "..", base)
        return sorted(self.out.glob("*.patch"))

    def apply(self, patches):
        """Applies the patches to the kernel's files once more, as somebody else would."""
        fresh = self.out / "applied"
        for name in CHANGED:
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.source / name, fresh / name)
        run("git", "init", "-q", cwd=fresh)
        run("git", "apply", *map(str, patches), cwd=fresh)
        shutil.rmtree(fresh)


def rewrap(text):
    """Rust code whose comments are as narrow as checkpatch wants them. rustfmt leaves them alone."""
    lines, out, at = text.split("\n"), [], 0
    while at < len(lines):
        prefix = re.match(r"\s*//[/!]? ", lines[at])
        end = at
        # The words up to the end of the paragraph, or the next item of a list.
        while prefix and end < len(lines) and lines[end].startswith(prefix.group()) and not (
                end > at and re.match(r"([-*|#`]|\d+\. )", lines[end][prefix.end():])):
            end += 1
        if not prefix or all(len(line) <= WIDTH for line in lines[at:end]) or \
                lines[at][prefix.end():].startswith("|"):
            out.append(lines[at])
            at += 1
            continue
        item = re.match(r"([-*] |\d+\. )?", lines[at][prefix.end():]).group()
        words = " ".join(line[prefix.end():].strip() for line in lines[at:end])
        out += textwrap.wrap(words, WIDTH, initial_indent=prefix.group(),
                             subsequent_indent=prefix.group() + " " * len(item),
                             break_long_words=False, break_on_hyphens=False)
        at = end
    return "\n".join(out)


def wrap(text):
    """Paragraphs of at most 72 columns, as git has them."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    wrapped = []
    for paragraph in paragraphs:
        if paragraph.lstrip().startswith(("|", "-", "#", "*", "1.", "```")):
            continue
        wrapped.append(textwrap.fill(" ".join(paragraph.split()), 72, break_long_words=False,
                                     break_on_hyphens=False))
    return "\n\n".join(wrapped)


def check(series, patches):
    """Runs checkpatch, and gives the number of patches with a remark."""
    result = subprocess.run(
        [series.repository / "toolchain/enter", "env", "GIT_DIR=/nonexistent", "perl",
         series.source / "scripts/checkpatch.pl", f"--root={series.source}", "--strict",
         "--terse", "--show-types", "--no-summary", "--ignore", IGNORED, *patches],
        text=True, capture_output=True)
    print(result.stdout, end="")
    if result.returncode and not result.stdout:
        sys.exit(result.stderr)
    return sum(str(patch) in result.stdout for patch in patches)


def compile_each(series, build):
    """Compiles after each patch that has code, and gives the number of failures."""
    commits = run("git", "rev-list", "--reverse", "HEAD", cwd=series.tree,
                  capture_output=True).stdout.split()[3:-1]
    include = f"-I{series.tree}/include"
    failed = 0
    for commit in commits:
        series.git("checkout", "-q", "--force", commit)
        subject = run("git", "log", "-1", "--format=%s", cwd=series.tree,
                      capture_output=True).stdout.strip()
        objects = ["rust/pddgpu.o"] + [f"c_shims/{path.stem}.o" for path in
                                       sorted((series.tree / TREE / "c_shims").glob("*.c"))]
        # There is no vmlinux that what is built in could be linked to.
        for kind, goals in [("m", ["modules"]), ("y", objects)]:
            log = series.out / f"compile-{kind}.log"
            with log.open("w") as output:
                result = subprocess.run(
                    [series.repository / "toolchain/enter", "make", "-C", build, f"M={series.tree / TREE}", f"MO={series.out}/{kind}",
                     f"CONFIG_DRM_PDDGPU={kind}", "-j2", f"KCFLAGS={include}", *goals],
                    stdout=output, stderr=subprocess.STDOUT)
            print(f"{'ok' if result.returncode == 0 else 'FAILED':<7} ={kind} {subject}",
                  flush=True)
            if result.returncode:
                failed += 1
                print(run("tail", "-n", "30", str(log), capture_output=True).stdout)
    series.git("checkout", "-q", "--force", "-")
    return failed


def main():
    source, out, repository = (Path(argument).resolve() for argument in sys.argv[1:4])
    series = Series(source, out, repository)
    series.make()
    patches = series.write()
    series.apply(patches)
    bad = check(series, patches)
    print(f"{len(patches)} patches apply; {len(patches) - bad} pass checkpatch --strict")
    failed = compile_each(series, sys.argv[4]) if len(sys.argv) > 4 else 0
    print(out)
    sys.exit(1 if bad or failed else 0)


main()
