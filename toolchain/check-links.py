#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""check-links.py SITE: looks for links of a static site that lead nowhere.

Checks every link from one page below the folder SITE to another, with its anchor. Links
to other sites are counted only. Pages that rustdoc makes of source code have no links of
interest but those that it makes itself, so only the links to them are checked.
"""

import os
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links and anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.links = set()
        self.anchors = set()
        with open(path, encoding="utf-8") as file:
            self.feed(file.read())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors |= {attrs.get("id"), attrs.get("name")}
        for name in ("href", "src"):
            if attrs.get(name):
                self.links.add(attrs[name])


def is_source(path):
    """Whether rustdoc made a page of a file of source code."""
    return f"{os.sep}src{os.sep}" in path and path.endswith(".rs.html")


def find_dead_links(site):
    """Yields each link that leads nowhere, and returns how many there are of each kind."""
    paths = [
        os.path.join(folder, name)
        for folder, _, names in os.walk(site)
        for name in names
        if name.endswith(".html")
    ]
    pages = {path: Page(path) for path in paths}
    inside = outside = 0

    for path, page in pages.items():
        if is_source(path):
            continue
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                outside += 1
                continue
            inside += 1
            target = path
            if parts.path:
                target = os.path.join(os.path.dirname(path), unquote(parts.path))
            target = os.path.normpath(target)
            if os.path.isdir(target):
                target = os.path.join(target, "index.html")
            anchor = parts.fragment
            if not os.path.exists(target):
                yield path, link
            elif anchor and target in pages and not is_source(target):
                # A browser looks for an anchor as it is written, and then for what that stands for.
                if not {anchor, unquote(anchor)} & pages[target].anchors:
                    yield path, link

    print(f"{len(paths)} pages, {inside} links between them, {outside} links to other sites")


def main():
    site = sys.argv[1]
    dead = list(find_dead_links(site))

    for path, link in dead:
        print(f"{os.path.relpath(path, site)}: {link} leads nowhere")
    sys.exit(1 if dead else 0)


main()
