# SPDX-License-Identifier: GPL-2.0
"""Sphinx's configuration of the site that `make doc` builds."""

project = "pddgpu"
author = "The pddgpu authors"
copyright = "the pddgpu authors, GPL-2.0"

extensions = ["myst_parser"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
primary_domain = "c"
highlight_language = "none"

# Headings get the anchors that links in the Markdown files use.
myst_heading_anchors = 4
# The pages also have to look right where no Sphinx is, so no extension of Markdown is used.
myst_enable_extensions = []

html_theme = "alabaster"
html_theme_options = {
    "description": "GPU memory, in Rust",
    "fixed_sidebar": True,
    "page_width": "1100px",
    "body_max_width": "none",
}
html_sidebars = {"**": ["about.html", "searchfield.html", "navigation.html"]}
html_show_sourcelink = False
