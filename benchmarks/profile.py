"""Where the CPU time of a contestant goes: ``python -m benchmarks.profile p2``.

Runs a workload's load against one contestant, samples all of its processes with perf(1), and
prints the shares of the kernel's system calls, the compiled core, the interpreter and libraries.
With --keep, ``python -m benchmarks --document`` puts the tables into docs/benchmarks.md.
"""

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import perf, report
from benchmarks.contest import Ground, Unavailable, keep_to_load_core, pinned, start, tool
from benchmarks.correctness import answers
from benchmarks.load import Wrk
from benchmarks.workloads import UNDER_WRK, Workload
from tests.support.daemon import ROOT

KEPT_PROFILE = ROOT / "benchmarks" / ".results" / "profiles.list"
DEFAULT = ("p1", "p2", "p3", "p6", "p6-mix")
SAMPLES_A_SECOND = 1999


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line asks for."""
    names = " ".join(UNDER_WRK)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.profile",
        description="Show where the CPU time of a contestant goes.",
    )
    say = parser.add_argument
    say(
        "workloads",
        nargs="*",
        metavar="WORKLOAD",
        help=f"some of {names} [{' '.join(DEFAULT)}]",
    )
    say(
        "--contestant",
        metavar="NAME",
        help="whom to profile, a name of `python -m benchmarks --help` [stickyd]",
    )
    say("--seconds", type=int, metavar="N", default=5, help="of load, 1 to 600 [5]")
    say("--keep", action="store_true", help=f"write to {KEPT_PROFILE.relative_to(ROOT)}")
    given = parser.parse_args(words)
    given.workloads = given.workloads or list(DEFAULT)
    for name in given.workloads:
        if name not in UNDER_WRK:
            parser.error(f"{name!r} is none of {names}")
        if given.contestant and given.contestant not in UNDER_WRK[name].makers:
            parser.error(f"{given.contestant!r} does not take part in {name}")
    if not 1 <= given.seconds <= 600:
        parser.error("--seconds is not within 1 to 600")
    return given


def run(workload: Workload, name: str, seconds: int) -> perf.Profile:
    """Start the contestant, load it, sample it.

    :raise Unavailable: perf or the contestant is missing, or perf may not record.
    """
    program = perf_program()
    with Ground() as ground:
        makers = {name: workload.makers[name]}
        for contestant in start(ground, makers, lambda port: answers(port, workload.load)):
            Wrk(ground, workload.load, 1)(contestant)
            recorded = ground.directory / "perf.data"
            command = [program, "record", "-q", "-F", str(SAMPLES_A_SECOND), "-e", "cpu-clock"]
            command += ["-g", "-o", str(recorded), "-p", ",".join(map(str, contestant.tree()))]
            # perf starts its command when it records.
            begun = ["sh", "-c", f"echo; exec sleep {seconds}"]
            with subprocess.Popen(
                [*pinned(ground.load_core), *command, "--", *begun],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as recording:
                try:
                    assert recording.stdout is not None
                    recording.stdout.readline()
                    cost = Wrk(ground, workload.load, seconds)(contestant)["cost"]
                    said = recording.communicate(timeout=60)[1]
                finally:
                    recording.kill()
            if recording.returncode or not recorded.exists():
                raise Unavailable(f"perf cannot record: {first_line(said)}")
            script = [program, "script", "-i", str(recorded), "-F", perf.FIELDS]
            printed = subprocess.run(script, capture_output=True, text=True, errors="replace")
            title = f"{workload.name}, {name}"
            return perf.profile(title, cost, printed.stdout, contestant.processes[0].pid)
    raise Unavailable(f"{name} cannot be started")


def perf_program() -> str:
    """Where perf is.

    :raise Unavailable: nowhere.
    """
    try:
        return tool("perf")
    except Unavailable:
        remedy = "install it (Debian: apt-get install linux-perf)"
        raise Unavailable(f"perf is missing: {remedy}") from None


def first_line(text: str) -> str:
    """Of an error message; perf's go on for a page."""
    return next((line.strip() for line in text.splitlines() if line.strip(" :")), "no reason given")


def read_kept(path: Path) -> list[perf.Profile]:
    """The profiles that were kept; none if there is no such file."""
    if not path.exists():
        return []
    return [perf.from_json(each) for each in json.loads(path.read_text())]


def keep(path: Path, found: perf.Profile) -> None:
    """Add a profile to the file, in place of the one with the same title."""
    path.parent.mkdir(exist_ok=True)
    others = [each for each in read_kept(path) if each.title != found.title]
    together = sorted([*others, found], key=lambda each: each.title)
    path.write_text(json.dumps([perf.to_json(each) for each in together]))


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Profile and print; 2 if that was not possible."""
    given = arguments()
    # Servers are ended by exceptions passing through; TERM shall be one, too.
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        perf_program()
        keep_to_load_core()
        for name in given.workloads:
            workload = UNDER_WRK[name]
            found = run(workload, given.contestant or workload.subject, given.seconds)
            print(f"{found.title}: {report.number(found.cost)} µs, {found.samples:,} samples")
            print(report.plain(report.profile(found)), end="\n\n", flush=True)
            if given.keep:
                keep(KEPT_PROFILE, found)
    except (Unavailable, AssertionError, ValueError) as error:
        print(f"benchmarks.profile: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nbenchmarks.profile: interrupted; what it started has ended", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
