#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Shows that floors.py finds what it is for, on small crates made for it."""
import pathlib
import sys
import tempfile
import unittest

import floors


def problems_of(files, order):
    """What is wrong in a crate with these files, on the floors that `order` lists."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            path = root / "crate" / (name + ".rs")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (root / "crate" / "FLOORS").write_text(order)
        made = floors.Crate(root, "crate", ".", ["main"])
        made.check()
        return [problem.split(": ", 1)[1] for problem in made.problems]


class Floors(unittest.TestCase):
    def test_imports_that_go_down_are_fine(self):
        files = {"a": "", "b": "use crate::a::A;", "main": "mod a; use crate::{a::A, b::{B, C}};"}
        self.assertEqual(problems_of(files, "a\nb # a comment\nmain\n"), [])

    def test_an_import_that_goes_up_is_found_in_any_form(self):
        for line in (
            "use crate::c::C;",
            "use crate::{\n    c::{\n        self,\n        C, //\n    }, //\n};",
            "use crate::c as other;",
            "pub(crate) use super::c::C;",
            "fn f() { crate::c::f() }",
            "macro_rules! m { () => { $crate::c::f() } }",
        ):
            files = {"a": line, "b": "", "c": "", "main": ""}
            problems = problems_of(files, "a\nb\nc\nmain\n")
            self.assertEqual(problems, ["imports c, which is 2 floors up"], line)

    def test_comments_strings_and_tests_import_nothing(self):
        text = (
            "// use crate::b::B;\n/* crate::b::f() */\n"
            'const TEXT: &str = "crate::b::f()";\n'
            "#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}\n"
            '#[cfg(CONFIG_KUNIT)]\n#[path = "x.rs"]\nmod kunit;\n'
        )
        self.assertEqual(problems_of({"a": text, "b": "", "main": ""}, "a\nb\nmain\n"), [])

    def test_a_circle_is_found(self):
        files = {"a": "use crate::b::B;", "b": "use crate::a::A;", "main": ""}
        self.assertEqual(problems_of(files, "a b\nmain\n"), ["circle of a, b"])

    def test_a_parent_may_re_export_children_that_do_not_import_it(self):
        files = {
            "a": "mod x; mod y; pub(crate) use self::{x::X, y::Y};",
            "a/x": "",
            "a/y": "use crate::a::x::X;",
            "main": "use crate::a::Y;",
        }
        self.assertEqual(problems_of(files, "a\nmain\n"), [])
        files["a/y"] = "use super::X;"
        self.assertEqual(problems_of(files, "a\nmain\n"), ["circle of a, a/y"])

    def test_a_file_on_no_floor_is_found(self):
        problems = problems_of({"a": "", "b": "", "main": ""}, "a\nmain\n")
        self.assertEqual(problems, ["no floor of crate/FLOORS names it"])

    def test_a_longer_name_is_on_a_floor_of_its_own(self):
        files = {"a": "", "a/x": "use crate::b::B;", "b": "", "main": ""}
        self.assertEqual(problems_of(files, "a\nb\na/x\nmain\n"), [])


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(min(failed, 1))
