"""What the pages in docs/recipes say: packages, files and the command that starts them."""

import configparser
import re
import shlex
from pathlib import Path

import attrs

from tests.support.daemon import ROOT

DIRECTORY = ROOT / "docs" / "recipes"
FILE = re.compile(r"^```\w+\n(?:#|//|<!--) ([\w./]+)(?: -->)?\n(.*?)^```$", re.M | re.S)


@attrs.frozen
class Page:
    """One page.

    :ivar packages: what pip is told to install, with versions.
    :ivar modules: what npm is told to install, with versions.
    :ivar command: the line that starts the app.
    :ivar files: text by path, beside which the command is run.
    """

    packages: tuple[str, ...]
    modules: tuple[str, ...]
    command: str
    files: dict[str, str]

    @property
    def arguments(self) -> list[str]:
        """Those of ``stickyd``."""
        return shlex.split(self.command)[1:]

    @property
    def versions(self) -> str:
        """The pinned packages, for people."""
        return ", ".join(name.replace("==", " ") for name in self.packages if "==" in name)

    def write(self, directory: Path) -> None:
        """Write the files."""
        for name, text in self.files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def read(name: str) -> Page:
    """The page ``name`` of docs/recipes."""
    text = (DIRECTORY / f"{name}.md").read_text()
    (install,) = re.findall(r"^    pip install (.*)$", text, re.M)
    (command,) = re.findall(r"^    (stickyd run .*)$", text, re.M)
    modules = re.findall(r"^    npm install (.*)$", text, re.M)
    return Page(
        tuple(shlex.split(install)),
        tuple(shlex.split(" ".join(modules))),
        command,
        dict(FILE.findall(text)),
    )


def requirements(packages: tuple[str, ...]) -> list[str]:
    """The same for pip, with those of stickyd's extras in place of stickyd."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    wanted = []
    for package in packages:
        name, _, extras = package.rstrip("]").partition("[")
        if name != "stickyd":
            wanted.append(package)
        elif extras:
            wanted += config["options.extras_require"][extras].split("\n")[1:]
    return wanted
