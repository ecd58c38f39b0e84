"""The pages of docs/recipes, as far as they can be tried without their frameworks.

``make check-apps`` runs them.
"""

import ast
import contextlib
import io
import re
import unittest

from stickyd.cli.main import main
from tests.slow.recipes.pages import DIRECTORY, read
from tests.slow.recipes.table import RECIPES
from tests.slow.recipes.tracebacks import Known, split, tracebacks

PAGES = sorted(path.stem for path in DIRECTORY.glob("*.md") if path.stem != "README")


class Recipes(unittest.TestCase):
    def test_every_page_is_in_the_table(self) -> None:
        self.assertEqual(PAGES, sorted({recipe.page for recipe in RECIPES}))

    def test_commands_are_accepted(self) -> None:
        for page in PAGES:
            said = io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                status = main(["check", *read(page).arguments[1:]])
            self.assertEqual((page, status), (page, 0), said.getvalue())

    def test_files_are_whole(self) -> None:
        """What the command names is there, and Python."""
        for page in PAGES:
            recipe = read(page)
            sources = [name for name in recipe.files if name.endswith(".py")]
            for name in sources:
                ast.parse(recipe.files[name], f"{page}: {name}")
            modules = {name.removesuffix(".py") for name in sources}
            named = {re.split(r"[.:]", word)[0] for word in recipe.arguments}
            self.assertTrue(modules & named, page)

    def test_versions_are_pinned(self) -> None:
        for page in PAGES:
            for package in read(page).packages:
                self.assertRegex(package, r"^stickyd(\[\w+\])?$|==", page)

    def test_every_row_of_the_matrix_is_a_recipe_with_the_versions_of_its_page(self) -> None:
        text = (DIRECTORY / "README.md").read_text()
        rows = re.findall(r"^\| \[(.*?)\]\((\w+)\.md\) \| (.*?) \|", text, re.M)
        self.assertEqual(
            [row[:2] for row in rows], [(recipe.name, recipe.page) for recipe in RECIPES]
        )
        for _name, page, versions in rows:
            self.assertEqual(versions, read(page).versions, page)


class Tracebacks(unittest.TestCase):
    LOG = (
        "12:00:00 [worker 1] Traceback (most recent call last):",
        '12:00:00 [worker 1]   File "a.py", line 1, in a',
        "12:00:00 [worker 0] Traceback (most recent call last):",
        "12:00:00 [worker 1]     b()",
        '12:00:00 [worker 0]   File "c.py", line 3, in c',
        "12:00:00 [worker 1] ValueError: of one",
        "12:00:00 [worker 0] KeyError: 'of the other'",
        "12:00:00 [worker 0]   + Exception Group Traceback (most recent call last):",
        '12:00:00 [worker 0]   |   File "d.py", line 4, in d',
        "12:00:00 [worker 0]   | ExceptionGroup: two (1 sub-exception)",
        "12:00:00 [worker 0]   +-+---------------- 1 ----------------",
        "12:00:00 [worker 0]     | Traceback (most recent call last):",
        '12:00:00 [worker 0]     |   File "e.py", line 5, in e',
        "12:00:00 [worker 0]     | OSError: within",
        "12:00:00 [worker 0]     +------------------------------------",
        "12:00:00 stopped",
    )

    def test_each_has_its_lines_and_its_error_though_workers_are_mixed(self) -> None:
        found = tracebacks(self.LOG)
        self.assertEqual(
            [each.error for each in found],
            [
                "ValueError: of one",
                "KeyError: 'of the other'",
                "ExceptionGroup: two (1 sub-exception)",
                "OSError: within",
            ],
        )
        self.assertEqual(found[0].lines, ['  File "a.py", line 1, in a', "    b()"])

    def test_one_without_an_end_is_found(self) -> None:
        self.assertEqual(tracebacks(self.LOG[:2])[0].lines, ['  File "a.py", line 1, in a'])

    def test_lines_of_the_daemon_are_not_those_of_apps(self) -> None:
        own, apps = split(["12:00:00 Traceback (most recent call last):", *self.LOG])
        self.assertEqual(own, ["12:00:00 Traceback (most recent call last):", self.LOG[-1]])
        self.assertEqual(len(apps), len(self.LOG) - 1)
        self.assertEqual(tracebacks(own), [])

    def test_known_ones_are_told_by_error_or_by_frame(self) -> None:
        first = tracebacks(self.LOG)[0]
        for pattern, known in (("of one$", True), (r"a\.py", True), ("of two", False)):
            self.assertEqual(first.is_known([Known(pattern, "")]), known, pattern)

    def test_each_known_error_has_its_reason(self) -> None:
        for recipe in RECIPES:
            for known in recipe.known:
                self.assertTrue(known.pattern and known.reason, recipe.name)
