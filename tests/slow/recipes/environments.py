"""One virtual environment for each group of recipes, in build/."""

import subprocess
import sys
import sysconfig

from tests.slow.recipes.pages import read, requirements
from tests.slow.recipes.table import RECIPES
from tests.support.daemon import ROOT


def python_of(group: str) -> str:
    """The interpreter that has the packages of the group's pages, and what stickyd needs."""
    directory = ROOT / "build" / f"apps-{group}"
    python = directory / "bin" / "python"
    stamp = directory / "installed"
    pages = [read(recipe.page) for recipe in RECIPES if recipe.group == group]
    wanted = sorted({name for page in pages for name in requirements(page.packages)})
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
