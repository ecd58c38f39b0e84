"""The modules of stickyd/ and what they import of each other, read from their sources."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.support.daemon import ROOT

PACKAGE = ROOT / "stickyd"


class Import(NamedTuple):
    """That a module imports another.

    :ivar lazy: within a function, so that it is done when that is called.
    """

    importer: str
    imported: str
    lazy: bool


@cache
def modules() -> dict[str, Path]:
    """The source of every module by its dotted name; a package is its ``__init__``."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def package_of(module: str) -> str:
    """The package that a module is in; a package is in itself."""
    return module if modules()[module].name == "__init__.py" else module.rpartition(".")[0]


@cache
def imports() -> frozenset[Import]:
    """Every import of one module of ours by another, those for type checkers included."""
    return frozenset(found for module in modules() for found in _imports_of(module))


def _imports_of(module: str) -> Iterator[Import]:
    def visit(node: ast.AST, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{module}: imports are absolute"
                for alias in child.names:
                    whole = f"{child.module}.{alias.name}"
                    yield Import(module, whole if whole in modules() else str(child.module), lazy)
            elif isinstance(child, ast.Import):
                yield from (Import(module, alias.name, lazy) for alias in child.names)
            within = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from visit(child, lazy or within)

    tree = ast.parse(modules()[module].read_text())
    # The compiled module is not one of these.
    return (found for found in visit(tree, False) if found.imported in modules())


def circles() -> list[list[str]]:
    """Modules that import each other when they are imported: each circle once, in its order."""
    graph: dict[str, list[str]] = {module: [] for module in modules()}
    for found in sorted(imports()):
        # A module that is imported has its package imported before; these are empty.
        if not found.lazy and found.importer != found.imported:
            graph[found.importer].append(found.imported)
    done: set[str] = set()
    path: list[str] = []
    seen: list[list[str]] = []

    def walk(module: str) -> None:
        if module in path:
            seen.append([*path[path.index(module) :], module])
        elif module not in done:
            path.append(module)
            for imported in graph[module]:
                walk(imported)
            done.add(path.pop())

    for module in graph:
        walk(module)
    return seen
