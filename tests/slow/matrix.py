"""The suite on each Python that is here: ``make check-matrix``.

Usage: python -m tests.slow.matrix [--quick] [--others] [PYTHON ...]

Each has a copy of the tree and a virtual environment of its own, in build/matrix/. Without a
PYTHON: all of 3.11 and newer that are in PATH or under pyenv; with ``--others`` without the one
that runs this. ``--quick`` runs the tests of the compiled core and of the whole daemon's basics;
else `make test` runs. Twisted and uvicorn are installed as setup.cfg admits them: the oldest and
the newest, where these are different. Needs the standard library only.
"""

import configparser
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "build" / "matrix"
OLDEST = 11
QUICK = ("tests/unit/core", "tests/unit/test_settings.py", "tests/integration/test_workers.py")
NOT_COPIED = (
    *(".git", ".venv", "build", "dist", "node_modules", ".peers", ".results", "*_cache"),
    *("__pycache__", "_trial_temp*", "*.egg-info", "*.so", "_engine.c", "_lane.c", "_native.c"),
)
LINES = 60
"""Of the log of one that failed."""
BOUNDED = ("Twisted", "uvicorn")


def pythons() -> Iterator[Path]:
    """One interpreter of each version, the oldest first."""
    found: dict[int, Path] = {}
    places = [Path(each) for each in os.environ.get("PATH", "").split(os.pathsep)]
    places += sorted(Path.home().glob(".pyenv/versions/*/bin"))
    for place in places:
        for path in sorted(place.glob("python3.*")) if place.is_dir() else []:
            match = re.fullmatch(r"python3\.(\d+)", path.name)
            if match and int(match[1]) >= OLDEST and _runs(path, int(match[1])):
                found.setdefault(int(match[1]), path)
    yield from (found[minor] for minor in sorted(found))


def _runs(python: Path, minor: int) -> bool:
    """Whether it is that version: a shim of pyenv may lead to none."""
    asked = "import sys, venv, ensurepip; print(sys.version_info[1])"
    done = subprocess.run([python, "-c", asked], capture_output=True, text=True)
    return done.returncode == 0 and done.stdout.strip() == str(minor)


def oldest() -> dict[str, str]:
    """The lower bound of each package that has a newer version."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    text = setup["options"]["install_requires"] + setup["options.extras_require"]["asgi"]
    bounds = {}
    for name in BOUNDED:
        match = re.search(rf"^{name}>=([\d.]+)", text, re.M)
        assert match is not None, name
        if _newest(name).startswith(match[1]):
            print(f"{name}: {match[1]} is the newest, too")
        else:
            bounds[name] = match[1]
    return bounds


def _newest(name: str) -> str:
    command = [sys.executable, "-m", "pip", "index", "versions", name]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    match = re.search(r"\(([\d.]+)\)", said)
    assert match is not None, said
    return match[1]


def check(python: Path, quick: bool, pinned: dict[str, str]) -> bool:
    """Install and test; whether all passed. The output is in a file beside the copy."""
    label = python.name + "".join(f"-{name}-{version}" for name, version in pinned.items())
    copy = PLACE / label
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
    environment = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    with open(PLACE / f"{label}.log", "wb") as log:

        def runs(*command: str) -> bool:
            done = subprocess.run(command, cwd=copy, stdout=log, stderr=log, env=environment)
            return done.returncode == 0

        passed = runs("make", f"PYTHON={python}", "core")
        for name, version in pinned.items():
            passed = passed and runs(".venv/bin/pip", "install", "-q", f"{name}=={version}.*")
        test = (".venv/bin/python", "-m", "pytest", "-p", "no:twisted", "-q", "-n", "2", *QUICK)
        passed = passed and runs(*(test if quick else ("make", f"PYTHON={python}", "test")))
    print(f"{label}: {'passed' if passed else 'FAILED'} ({PLACE / label}.log)", flush=True)
    if passed:
        shutil.rmtree(copy)
    else:
        lines = (PLACE / f"{label}.log").read_text(errors="replace").splitlines()
        print(*lines[-LINES:], sep="\n", flush=True)
    return passed


def main(arguments: list[str]) -> int:
    """Check each; 0 if all have passed."""
    quick = "--quick" in arguments
    others = "--others" in arguments
    named = [Path(each) for each in arguments if each not in ("--quick", "--others")]
    PLACE.mkdir(parents=True, exist_ok=True)
    own = f"python3.{sys.version_info[1]}" if others else ""
    chosen = named or [python for python in pythons() if python.name != own]
    if others and not chosen:
        print("there is no other Python")
        return 0
    results = [check(python, quick, {}) for python in chosen]
    if not quick and not named and (bounds := oldest()):
        results.append(check(chosen[0], quick, bounds))
    return 0 if all(results) and results else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
