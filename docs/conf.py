"""Sphinx: the site that `make docs` builds.

The source directory is the repository's root, so that links between docs/, examples/ and the
README work on the site as they do in the repository.
"""

import re
import shutil
from pathlib import Path

from sphinx.application import Sphinx

from stickyd import __version__

ROOT = Path(__file__).resolve().parents[1]

project = "stickyd"
author = "the stickyd authors"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.apidoc"]
root_doc = "docs/index"
include_patterns = [
    "*.md",
    "docs/*.md",
    "docs/recipes/*.md",
    "docs/reference/*.rst",
    "examples/**.md",
]
exclude_patterns = ["**/node_modules", ".*", "benchmarks", "build", "dist", "tests"]
html_theme = "furo"
html_title = f"stickyd {release}"
# As GitHub names them.
myst_heading_anchors = 4
# A name in single backticks, in a docstring, is a link where there is such an object.
default_role = "py:obj"
# Such a name may be that of several objects: no link then.
suppress_warnings = ["ref.python", "misc.highlighting_failure"]
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
# Every package of stickyd on a page of its own.
apidoc_modules = [
    {
        "path": "../stickyd",
        "destination": "docs/reference",
        "exclude_patterns": ["**/__main__.py"],
        "max_depth": 1,
        "module_first": True,
        "automodule_options": {"members", "show-inheritance"},
    }
]


def _directories(_app: Sphinx, name: str, source: list[str]) -> None:
    """A link to a directory leads to its README, as on GitHub."""
    folder = (ROOT / name).parent

    def target(found: "re.Match[str]") -> str:
        path = found[1].rstrip("/")
        return f"]({path}/README.md)" if (folder / path / "README.md").is_file() else found[0]

    source[0] = re.sub(r"\]\(([^)\s:#]+)\)", target, source[0])


def _pictures(app: Sphinx, failed: Exception | None) -> None:
    """Pictures that a page names in HTML (one for each colour scheme) Sphinx does not copy."""
    if failed is None and app.builder.format == "html":
        for picture in (ROOT / "docs").glob("*.svg"):
            shutil.copy(picture, Path(app.outdir) / "docs")


def setup(app: Sphinx) -> None:
    """Connect to Sphinx's events."""
    app.connect("build-finished", _pictures)
    app.connect("source-read", _directories)
