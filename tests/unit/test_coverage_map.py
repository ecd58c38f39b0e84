"""Every module of stickyd/ has its tests: of its own, or named in the table."""

import ast
import unittest
from pathlib import Path

from tests.support.coverage_map import COVERED_BY
from tests.support.daemon import ROOT
from tests.support.modules import modules

TESTS = ROOT / "tests"


def own_test(module: str) -> Path:
    """Where the tests of a module are that has some of its own."""
    *packages, name = module.split(".")
    return TESTS.joinpath("unit", *packages, f"test_{name}.py")


def with_code() -> set[str]:
    """The modules that have more than a docstring and constants."""
    return {
        module.removeprefix("stickyd.")
        for module, path in modules().items()
        if path.name != "__init__.py" or not _is_plain(path)
    }


def _is_plain(path: Path) -> bool:
    return all(
        isinstance(statement, ast.Expr | ast.Assign)
        for statement in ast.parse(path.read_text()).body
    )


def imported_by(source: str) -> set[str]:
    """The modules that a source imports, without the prefix."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name.removeprefix("stickyd.") for name in found}


class Map(unittest.TestCase):
    def test_every_module_is_covered(self) -> None:
        without = {module for module in with_code() if not own_test(module).exists()}
        self.assertEqual(without - COVERED_BY.keys(), set())

    def test_the_table_names_modules_that_are_there(self) -> None:
        self.assertEqual(COVERED_BY.keys() - with_code(), set())

    def test_the_tests_reach_their_modules(self) -> None:
        for module, cover in COVERED_BY.items():
            with self.subTest(module):
                source = (TESTS / cover.test).read_text()
                reached = cover.by in source if cover.by else module in imported_by(source)
                self.assertTrue(reached, f"tests/{cover.test}: {cover.by or 'no import'}")

    def test_own_tests_have_their_modules(self) -> None:
        """A test file that has the name of a module imports from its package."""
        for module in with_code():
            path = own_test(module)
            if path.exists():
                with self.subTest(module):
                    package = f"{module}.".partition(".")[0]
                    source = path.read_text()
                    names = {f"{name}." for name in imported_by(source)}
                    # Or names it, for a process that it starts.
                    reached = any(name.startswith(f"{package}.") for name in names)
                    self.assertTrue(
                        reached or f"stickyd.{module}" in source or f"{package}." in source
                    )
