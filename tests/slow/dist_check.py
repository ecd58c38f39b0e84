"""What `make dist` has built: each file is installed into an empty environment and run there.

``python -m tests.slow.dist_check FILE...``: exit status 1 if the daemon of one of them answers a
row of the README otherwise than its table says, or if a wheel has no compiled core.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.daemon import Daemon
from tests.support.readme import wrong_answers

_CORE = (
    "from stickyd.core import native; print(native.__file__); print(native.CORE.name);"
    # The files of the live page are there, or this fails.
    " from stickyd.master.admin.page.files import PageFiles; PageFiles()"
)


def check(archive: Path) -> list[str]:
    """Install a wheel or an sdist and run its daemon; what is wrong, a line for each fault.

    :raise subprocess.CalledProcessError: if it cannot be installed.
    """
    with tempfile.TemporaryDirectory(prefix="stickyd-dist-") as directory:
        environment = {**os.environ, "PYTHONPATH": ""}

        def run(*command: str) -> str:
            return subprocess.run(
                command,
                cwd=directory,
                env=environment,
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            ).stdout

        run(sys.executable, "-m", "venv", "env")
        programs = Path(directory, "env", "bin")
        run(f"{programs}/pip", "install", "-q", "--disable-pip-version-check", str(archive))
        module, core = run(f"{programs}/python", "-c", _CORE).splitlines()
        found = []
        if not module.startswith(directory):
            found.append(f"imported from {module}, not from the environment")
        if archive.suffix == ".whl" and core != "compiled":
            found.append(f"its core is {core}, not compiled")
        print(f"{archive.name}: {run(f'{programs}/stickyd', '--version').strip()}", flush=True)
        with Daemon(
            "--seed",
            "1",
            command=[f"{programs}/twistd", "-n", "--pidfile=", "stickyd"],
            environment={"PYTHONPATH": ""},
            cwd=directory,
        ) as daemon:
            found += wrong_answers(daemon.port)
        return found


def main(arguments: Sequence[str]) -> int:
    """Run from the command line."""
    if not arguments:
        print("no file to check", file=sys.stderr)
        return 2
    wrong = 0
    for name in arguments:
        found = check(Path(name).resolve())
        wrong += len(found)
        for line in found or ["every row of the README is answered as its table says"]:
            print(f"{name}: {line}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
