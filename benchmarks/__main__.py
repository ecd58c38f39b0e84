"""Measure stickyd and its peers, print tables and targets: ``python -m benchmarks p1``.

With --keep the results are also written down for ``python -m benchmarks --document``, which fills
docs/benchmarks.md and draws its pictures.
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
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.contest import PEERS, Ground, Unavailable, keep_to_load_core
from benchmarks.plan import Plan
from benchmarks.profile import KEPT_PROFILE, read_kept
from benchmarks.result import Result, from_json, to_json
from benchmarks.workloads import DAILY, TITLES, WORKLOADS, contestants_of
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
    kept = KEPT.relative_to(ROOT)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__.split("\n")[0].split(":")[0] + ".",
        epilog=overview(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    say = parser.add_argument
    say("workloads", nargs="*", metavar="WORKLOAD", help="what to run, see below; default: all")
    say(
        "--only",
        default="",
        metavar="NAMES",
        help="contestants whose names contain one of NAMES (comma-separated); default: all",
    )
    say(
        "--rounds",
        type=int,
        metavar="N",
        help="measurements of each contestant, 1 to 600 [5; with --quick 3]",
    )
    say(
        "--seconds",
        type=int,
        metavar="N",
        help="length of a measurement, 1 to 600 [3; with --quick 2]",
    )
    say("--quick", action="store_true", help=f"{' '.join(DAILY)} with few contestants, shortly")
    say("--keep", action="store_true", help=f"write the results to {kept}")
    say(
        "--document",
        action="store_true",
        help="write kept results and profiles to"
        " docs/benchmarks.md and draw its pictures; runs nothing without --keep or WORKLOAD",
    )
    given = parser.parse_args(words)
    if unknown := [name for name in given.workloads if name not in WORKLOADS]:
        parser.error(f"{unknown[0]!r} is none of {names}")
    parts = [part for part in given.only.split(",") if part]
    names_of = {each for name in given.workloads or WORKLOADS for each in contestants_of(name)}
    for part in parts:
        if not any(part in name for name in names_of):
            parser.error(f"--only: no contestant's name contains {part!r}; see --help")
    for name in ("rounds", "seconds"):
        if getattr(given, name) is not None and not 1 <= getattr(given, name) <= 600:
            parser.error(f"--{name} is not within 1 to 600")
    return given


def overview() -> str:
    """The workloads and who takes part, for --help."""
    lines = ["workloads and contestants:"]
    for name in WORKLOADS:
        lines += [f"  {name:8}{TITLES[name]}"]
        lines += textwrap.wrap(
            "; ".join(contestants_of(name)), 76, initial_indent=" " * 12, subsequent_indent=" " * 12
        )
    return "\n".join(lines)


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


def place(name: str) -> tuple[int, str]:
    """For sorting results by workload; ``p6-mix`` is a part of ``p6``."""
    workload = name if name in WORKLOADS else name.split("-")[0]
    return [*WORKLOADS].index(workload), name


def document() -> None:
    """Fill in the docs from what was kept."""
    found = sorted(KEPT.glob("*.json"), key=lambda path: place(path.stem))
    if not found:
        raise Unavailable("nothing was kept: run `python -m benchmarks --keep` first")
    documents = [json.loads(path.read_text()) for path in found]
    taken = max(datetime.date.fromtimestamp(path.stat().st_mtime) for path in found).isoformat()
    profiles = read_kept(KEPT_PROFILE)
    text = report.section([from_json(each) for each in documents], profiles, taken, machine())
    DOCUMENT.write_text(report.between_markers(DOCUMENT.read_text(), text))
    python = PEERS / "venv" / "bin" / "python"
    if not python.exists():
        raise Unavailable("no pictures without matplotlib: run benchmarks/setup.sh")
    together = KEPT / "all.list"
    together.write_text(json.dumps(documents))
    plot = [str(python), "-m", "benchmarks.plot", str(together), str(DOCUMENT.parent)]
    subprocess.run(plot, cwd=ROOT, check=True)
    print(f"{DOCUMENT.relative_to(ROOT)} and its pictures are written")


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
