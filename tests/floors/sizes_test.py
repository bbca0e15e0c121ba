#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Shows that sizes.py finds what it is for, and counts lines of code only."""
import pathlib
import sys
import unittest

import sizes


def problems_of(text, name="a.rs"):
    """What is too long in a file with this text."""
    return [problem.split(": ", 1)[1] for problem in sizes.problems(pathlib.Path(name), text)]


def rust(lines):
    """A function of so many lines."""
    return "fn f() {\n" + "    g();\n" * (lines - 2) + "}\n"


def c(lines):
    """A function of so many lines, as the kernel writes them."""
    return "static int f(int a,\n\t     int b)\n{\n" + "\tg();\n" * (lines - 4) + "}\n"


class Sizes(unittest.TestCase):
    def test_what_is_as_long_as_allowed_is_fine(self):
        self.assertEqual(problems_of(rust(60)), [])
        self.assertEqual(problems_of(c(60), "a.c"), [])
        self.assertEqual(problems_of("\n" * 500), [])

    def test_a_function_with_one_line_more_is_found(self):
        text = ["f() has 61 lines, which is more than 60"]
        self.assertEqual(problems_of("// 1\n" + rust(61)), text)
        self.assertEqual(problems_of("impl A {\n" + rust(61) + "}\n"), text)
        self.assertEqual(problems_of("const A: &str = \"{\";\npub(crate) async " + rust(61)), text)
        self.assertEqual(problems_of(c(61), "a.c"), text)

    def test_a_file_with_one_line_more_is_found(self):
        text = ["501 lines, which is more than 500"]
        self.assertEqual(problems_of("\n" * 501), text)
        self.assertEqual(problems_of("\n" * 501, "a.h"), text)
        self.assertEqual(problems_of("\n" * 501, "x/include/uapi/drm/pddgpu_drm.h"), [])

    def test_comments_and_blank_lines_do_not_count(self):
        between = "    g();\n\n    // }\n    /* }\n     */\n"
        self.assertEqual(problems_of("fn f() {\n" + between * 58 + "}\n"), [])

    def test_lines_of_literals_count(self):
        literal = "fn f() {\n    g(\n        \"" + "}\n" * 60 + "\",\n    );\n}\n"
        self.assertEqual(problems_of(literal), ["f() has 65 lines, which is more than 60"])

    def test_what_has_no_body_is_no_function(self):
        text = "trait A {\n    fn f(&self, a: [u8; 4]);\n}\n" + "const A: fn() = g;\n" * 61
        self.assertEqual(problems_of(text), [])
        self.assertEqual(problems_of("int f(int a);\n" + "int b;\n" * 61, "a.h"), [])


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(min(failed, 1))
