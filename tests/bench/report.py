#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""report.py [--page FILE] [--json FILE] [--picture FILE] [--before JSON] <LINES
report.py --check JSON <LINES

Makes a table and a picture of the lines of JSON that pddgpu-bench table prints. Without
--page it prints the table. With --check it fails if something takes more instructions than
that file says.
"""

import argparse
import json
import sys
from xml.sax.saxutils import escape

BEGIN = "<!-- made by make bench -->\n"
END = "<!-- end -->\n"
BAR, LEFT, WIDTH = 18, 330, 560
# What is more by this part is a regression.
TOLERANCE = 0.03


def key(row):
    return row["group"], row["name"]


def count(number):
    return f"{number:,}"


def table(rows, before):
    lines = []
    group = None
    for row in rows:
        if row["group"] != group:
            group = row["group"]
            title = group[0].upper() + group[1:]
            lines.append(f"\n| {title} | instructions | least to most |" + (" before |" if before else ""))
            lines.append("|---|---:|---:|" + ("---:|" if before else ""))
        line = f"| {row['name']} | {count(row['instructions'])} |"
        line += f" {count(row['least'])} to {count(row['most'])} |"
        if before:
            old = before.get(key(row))
            line += f" {count(old['instructions'])} |" if old else " |"
        lines.append(line)
    return "\n".join(lines).lstrip() + "\n"


def picture(rows):
    """Bars of one group, because the others are of other orders of magnitude."""
    rows = [row for row in rows if row["group"] in ("create and close", "calls")]
    most = max(row["instructions"] for row in rows)
    height = BAR * len(rows) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 90}" height="{height}" '
        'font-family="sans-serif" font-size="12">'
    ]
    for index, row in enumerate(rows):
        y = 5 + BAR * index
        width = WIDTH * row["instructions"] / most
        colour = "#999999" if "vgem" in row["name"] or "null" in row["name"] else "#3465a4"
        parts.append(f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(row["name"])}</text>')
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 4}" fill="{colour}"/>')
        parts.append(f'<text x="{LEFT + width + 5:.1f}" y="{y + 12}">{count(row["instructions"])}</text>')
    return "\n".join(parts) + "\n</svg>\n"


def check(rows, pinned):
    """Compares the least figures of both: interrupts only add to them."""
    passed, failed = 0, 0
    for row in rows:
        title = f"{row['group']}, {row['name']}"
        if key(row) not in pinned:
            print(f"FAILED  {title}: not in the file; make bench adds it")
            failed += 1
            continue
        before, usual = (pinned[key(row)][name] for name in ("least", "instructions"))
        now = row["least"]
        change = f"{count(now)} instructions, {now / before - 1:+.1%}"
        if usual > before * (1 + TOLERANCE):
            print(f"        {title}: {change}; not compared, because it differs by itself")
        elif now > before * (1 + TOLERANCE):
            print(f"FAILED  {title}: {change}")
            failed += 1
        else:
            print(f"ok      {title}: {change}")
            passed += 1
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


def main():
    parser = argparse.ArgumentParser()
    for name in ("page", "json", "picture", "before", "check"):
        parser.add_argument("--" + name)
    options = parser.parse_args()
    rows = [json.loads(line) for line in sys.stdin if line.startswith("{")]
    if not rows:
        sys.exit("nothing was measured")
    if options.check:
        with open(options.check, encoding="utf-8") as file:
            check(rows, {key(row): row for row in json.load(file)})
    before = {}
    if options.before:
        with open(options.before, encoding="utf-8") as file:
            before = {key(row): row for row in json.load(file)}
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=1)
            file.write("\n")
    if options.picture:
        with open(options.picture, "w", encoding="utf-8") as file:
            file.write(picture(rows))
    text = table(rows, before)
    if not options.page:
        print(text, end="")
        return
    with open(options.page, encoding="utf-8") as file:
        page = file.read()
    start, rest = page.split(BEGIN, 1)
    end = rest.split(END, 1)[1]
    with open(options.page, "w", encoding="utf-8") as file:
        file.write(start + BEGIN + "\n" + text + "\n" + END + end)


if __name__ == "__main__":
    main()
