"""One virtual environment for each group of recipes, and what npm installs, in build/."""

import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.slow.recipes.pages import Page, read, requirements
from tests.slow.recipes.table import RECIPES
from tests.support.daemon import ROOT

CONTROLS = {"light": ("gunicorn==27.0.1",)}
"""What the controls need besides, by group."""


def python_of(group: str) -> str:
    """The interpreter that has the packages of the group's pages, and what stickyd needs."""
    directory = ROOT / "build" / f"apps-{group}"
    python = directory / "bin" / "python"
    stamp = directory / "installed"
    pages = [read(recipe.page) for recipe in RECIPES if recipe.group == group]
    wanted = sorted({name for page in pages for name in requirements(page.packages)})
    wanted += sorted({*CONTROLS.get(group, ())})
    if not stamp.exists() or stamp.read_text() != "\n".join(wanted):
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
        # What is in the environment of the tests, behind its own; pip must not see it.
        own = sysconfig.get_path(
            "purelib", vars={"base": str(directory), "platbase": str(directory)}
        )
        behind = f"{own}/tests.pth"
        open(behind, "w").close()
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, *wanted], check=True)
        with open(behind, "w") as file:
            file.write(sysconfig.get_path("purelib") + "\n")
        stamp.write_text("\n".join(wanted))
    return str(python)


def modules_of(page: Page) -> Path | None:
    """The directory ``node_modules`` of a page; None: it needs none."""
    if not page.modules:
        return None
    directory = ROOT / "build" / "apps-npm" / "_".join(page.modules).replace("/", "_")
    modules = directory / "node_modules"
    if not modules.exists():
        directory.mkdir(parents=True, exist_ok=True)
        install = ["npm", "install", "--silent", "--no-audit", "--no-fund", *page.modules]
        subprocess.run([*install, "--prefix", directory], check=True)
    return modules
