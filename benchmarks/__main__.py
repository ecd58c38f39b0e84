"""How fast stickyd is, beside real peers: ``python -m benchmarks p1``.

Runs workloads, prints their tables and targets, and with --keep writes them down for
``python -m benchmarks --document``, which fills docs/benchmarks.md and draws its picture.
"""

import argparse
import datetime
import json
import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.contest import PEERS, Ground, Unavailable, keep_to_load_core
from benchmarks.plan import Plan
from benchmarks.result import Result, from_json, to_json
from benchmarks.workloads import DAILY, WORKLOADS
from tests.support.daemon import ROOT

KEPT = ROOT / "benchmarks" / ".results"
DOCUMENT = ROOT / "docs" / "benchmarks.md"


def chosen(given: argparse.Namespace) -> Sequence[str]:
    """The workloads to run: none if the page is only to be filled from what was kept."""
    if given.workloads:
        return list(given.workloads)
    if given.quick:
        return DAILY
    return () if given.document and not given.keep else tuple(WORKLOADS)


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line asks for."""
    names = " ".join(WORKLOADS)
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"{names} [all]")
    parser.add_argument("--rounds", type=int, help="measurements of each contestant [5]")
    parser.add_argument("--seconds", type=int, help="of each measurement [4]")
    parser.add_argument("--only", default="", help="parts of contestants' names, with commas")
    parser.add_argument("--quick", action="store_true", help="p1 to p3, few and short")
    parser.add_argument("--keep", action="store_true", help=f"write to {KEPT.relative_to(ROOT)}")
    parser.add_argument("--document", action="store_true", help="fill docs/benchmarks.md")
    given = parser.parse_args(words)
    if unknown := [name for name in given.workloads if name not in WORKLOADS]:
        parser.error(f"{unknown[0]!r} is none of {names}")
    for name in ("rounds", "seconds"):
        if getattr(given, name) is not None and not 1 <= getattr(given, name) <= 600:
            parser.error(f"--{name} is not within 1 to 600")
    return given


def run(names: Sequence[str], plan: Plan) -> Iterator[Result]:
    """The contests of the workloads, each on a ground of its own."""
    for name in names:
        for contest in WORKLOADS[name]:
            with Ground() as ground:
                yield from contest(ground, plan)


def keep(result: Result) -> None:
    """For `document`."""
    KEPT.mkdir(exist_ok=True)
    (KEPT / f"{result.name}.json").write_text(json.dumps(to_json(result)))


def document() -> None:
    """Fill in the docs from what was kept."""
    order = {name: at for at, name in enumerate(WORKLOADS)}
    found = sorted(
        KEPT.glob("*.json"), key=lambda path: (order[path.stem.split("-")[0]], path.stem)
    )
    if not found:
        raise Unavailable("nothing was kept: run `python -m benchmarks --keep` first")
    documents = [json.loads(path.read_text()) for path in found]
    taken = max(datetime.date.fromtimestamp(path.stat().st_mtime) for path in found).isoformat()
    text = report.section([from_json(each) for each in documents], taken, machine())
    DOCUMENT.write_text(report.between_markers(DOCUMENT.read_text(), text))
    picture = DOCUMENT.with_name(report.PLOT)
    python = PEERS / "venv" / "bin" / "python"
    if not python.exists():
        raise Unavailable("no picture without matplotlib: run benchmarks/setup.sh")
    together = KEPT / "all.list"
    together.write_text(json.dumps(documents))
    plot = [str(python), "-m", "benchmarks.plot", str(together), str(picture)]
    subprocess.run(plot, cwd=ROOT, check=True)
    print(f"{DOCUMENT.relative_to(ROOT)} and {picture.relative_to(ROOT)} are written")


def machine() -> str:
    """What it ran on, in a few words."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    name = model[1] if model else platform.machine()
    return f"{os.cpu_count()} cores ({name}), Python {platform.python_version()}"


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Run, print, and say by the exit status whether stickyd's answers were right."""
    given = arguments()
    # Servers are ended by exceptions passing through; TERM shall be one, too.
    signal.signal(signal.SIGTERM, _interrupted)
    sound = True
    try:
        default = Plan(3, 2, quick=True) if given.quick else Plan()
        plan = Plan(
            given.rounds or default.rounds,
            given.seconds or default.seconds,
            tuple(filter(None, given.only.split(","))),
            given.quick,
        )
        names = chosen(given)
        if names:
            keep_to_load_core()
        for result in run(names, plan):
            print(report.terminal(result), flush=True)
            sound = sound and result.sound()
            if given.keep:
                keep(result)
        if given.document:
            document()
    except (Unavailable, AssertionError, ValueError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nbenchmarks: interrupted; everything it started has ended", file=sys.stderr)
        return 130
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
