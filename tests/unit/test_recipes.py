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
