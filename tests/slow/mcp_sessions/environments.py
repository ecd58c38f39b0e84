"""Virtual environments with mcp 1.x and 2.x, which cannot be in one."""

import subprocess
import sys
import sysconfig

from tests.support.daemon import ROOT

VERSIONS = {1: "mcp>=1.30,<2", 2: "mcp>=2.3,<3"}


def python_with(major: int) -> str:
    """The interpreter of an environment that has mcp of this version, and what stickyd needs."""
    directory = ROOT / "build" / f"mcp-{major}"
    python = directory / "bin" / "python"
    stamp = directory / "installed"
    wanted = VERSIONS[major]
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", directory], check=True)
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, wanted], check=True)
        # What is in the environment of the tests, behind its own.
        own = sysconfig.get_path(
            "purelib", vars={"base": str(directory), "platbase": str(directory)}
        )
        with open(f"{own}/tests.pth", "w") as file:
            file.write(sysconfig.get_path("purelib") + "\n")
        stamp.write_text(wanted)
    return str(python)
