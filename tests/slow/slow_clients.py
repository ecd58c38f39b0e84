"""A thousand slow clients beside a normal load.

    python -m tests.slow.slow_clients [--rounds 5] [--clients 1000] [--pin]

Debian's slowhttptest in each of its modes against a daemon of two workers on
loopback, beside `tests.slow.steady_load`; rounds interleave the modes, and each
attack follows upon the same load alone. Shown, for each mode:

- the normal load's p99 with slow clients and without, median of the rounds;
- the master's share of one core, from the first slow client to the last one's end;
- that every slow client is gone in its time, by the descriptors that the daemon holds
  (slowhttptest reads on from its own buffer when it has been cut in mode -X), and that
  the daemon has as many descriptors as before.

The last decides about the exit status. The first two are ratios of one machine's
run; whether they hold is printed. The limits are 10 s for heads, as by default,
and 8 s instead of 60 s for bodies and answers, to keep a round short;
``--min-rate`` is the default. Nothing is pinned unless ``--pin`` says so: then
the daemon has the last core, and attack and load the first.
"""

import argparse
import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

from tests.slow.steady_load import CONNECTIONS, Outcome, steady_load
from tests.support.daemon import Daemon

HEAD, BODY, SEND = 10.0, 8.0, 8.0
LATE = 2.5
"""Seconds on top of a limit: a sweep, and lingering until the client has read its 408."""

RAMP = 200
"""Slow clients a second; slowhttptest may be slower."""

RAMP_MOST = 20.0
"""Seconds in which all of them must have arrived."""

LOOK_EVERY = 0.2
STRAY = 2
"""Descriptors that come and go: slowhttptest's probe, a connection that moves."""

ALONE = 6.0
RATIO_MOST, MASTER_MOST = 1.5, 0.05
TICKS = os.sysconf("SC_CLK_TCK")


@attrs.frozen
class Mode:
    """What slowhttptest is told, and in how many seconds a client must be gone."""

    name: str
    path: str
    limit: float
    options: tuple[str, ...]


MODES = (
    Mode("-H slow heads", "/hello", HEAD, ("-H", "-i", "2", "-x", "8")),
    Mode("-B slow bodies", "/digest", BODY, ("-B", "-i", "1", "-x", "8", "-s", "8192")),
    # 4 MiB in windows of 10 to 20 bytes, of which 5 are read each second.
    Mode(
        "-X slow reads",
        "/stream?n=64",
        SEND,
        ("-X", "-w", "10", "-y", "20", "-n", "1", "-z", "5"),
    ),
    # A head just below the limit of a field; by default it is above it, and 431.
    Mode("-R ranges", "/hello", 0.0, ("-R", "-a", "5", "-b", "1000")),
)


@attrs.frozen
class Round:
    """What one attack showed.

    ``gone`` is seconds from the last slow client's arrival to the last one's end;
    None if some were there too long.
    """

    alone: Outcome
    beside: Outcome
    master: float
    held: int
    arrived: int
    gone: float | None
    before: int
    after: int

    def ratio(self) -> float:
        """p99 with slow clients to p99 without."""
        return self.beside.p99() / self.alone.p99()


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far (proc_pid_stat(5)), in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextlib.contextmanager
def slowhttptest(daemon: Daemon, mode: Mode, clients: int, prefix: list[str]) -> Iterator[None]:
    """The attack while the context lasts; it ends by itself after two minutes."""
    command = [
        *(*prefix, "slowhttptest", "-c", str(clients), "-r", str(RAMP), "-l", "120", "-v", "1"),
        *("-u", f"http://127.0.0.1:{daemon.port}{mode.path}", *mode.options),
    ]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def attack(daemon: Daemon, mode: Mode, clients: int, load: list[str]) -> Round:
    """The load alone, then beside slow clients, until they are gone."""
    with steady_load(daemon.port, ALONE, load) as running:
        alone = running.outcome()
    before = sum(daemon.settled_descriptors().values())
    accepted = daemon.report()["master"]["accepted"]
    master = daemon.process.pid
    seconds = clients / RAMP + mode.limit + 1
    with steady_load(daemon.port, seconds, load) as running:
        running.wait_for_start()
        own = sum(daemon.descriptors().values())
        used, start = cpu_seconds(master), time.monotonic()
        with slowhttptest(daemon, mode, clients, load):
            arrived = held = most = 0
            last_arrival = start
            gone: float | None = None
            while gone is None:
                # What other processes hold can only be looked at.
                time.sleep(LOOK_EVERY)
                now = time.monotonic()
                held = sum(daemon.descriptors().values()) - own
                most = max(most, held)
                if arrived < clients:
                    arrived = daemon.report()["master"]["accepted"] - accepted - CONNECTIONS
                    last_arrival = now
                    if now - start > RAMP_MOST:
                        break
                elif held <= STRAY:
                    gone = now - last_arrival
                elif now - last_arrival > mode.limit + LATE:
                    break
            used, took = cpu_seconds(master) - used, time.monotonic() - start
        beside = running.outcome()
    deadline = time.monotonic() + 3
    while (after := sum(daemon.settled_descriptors().values())) != before:
        if time.monotonic() > deadline:
            break
    return Round(alone, beside, used / took, most, arrived, gone, before, after)


def faults(mode: Mode, number: int, found: Round, clients: int) -> list[str]:
    """What must not be, in words."""
    here = f"{mode.name}, round {number}: "
    told = []
    if found.arrived < clients:
        told.append(f"{here}only {found.arrived} of {clients} slow clients arrived")
    if mode.limit and found.held < 0.95 * clients:
        told.append(f"{here}only {found.held} of {clients} were there at the same time")
    if found.gone is None:
        told.append(f"{here}slow clients are still there {mode.limit + LATE:g} s after the last")
    if found.before != found.after:
        told.append(f"{here}{found.before} descriptors before, {found.after} after")
    wrong = found.alone.wrong + found.beside.wrong
    if wrong:
        told.append(f"{here}{wrong} answers of the normal load wrong or missing")
    return told


def table(rounds: dict[str, list[Round]]) -> None:
    """Print what was found, and whether latency and the master's share are as they should be."""
    print(
        "| mode | p99 without, ms | with | ratio (rounds) | master % of a core"
        " | most at once | gone after, s (limit) | descriptors before, after |"
    )
    print("|---|---|---|---|---|---|---|---|")
    verdicts = []
    for mode in MODES:
        found = rounds[mode.name]
        without, beside = (
            statistics.median(getattr(r, name).p99() * 1000 for r in found)
            for name in ("alone", "beside")
        )
        ratios = [r.ratio() for r in found]
        ratio = statistics.median(ratios)
        master = statistics.median(r.master for r in found)
        most = min(r.held for r in found)
        gone = [r.gone for r in found]
        late = "too late" if None in gone else f"{max(g for g in gone if g is not None):.1f}"
        spread = f"{min(ratios):.2f}–{max(ratios):.2f}"
        print(
            f"| `{mode.name}` | {without:.1f} | {beside:.1f} | {ratio:.2f} ({spread})"
            f" | {100 * master:.1f} | {most} | {late} ({mode.limit:g})"
            f" | {found[-1].before}, {found[-1].after} |"
        )
        for what, value, bound in (
            ("p99 ratio", ratio, RATIO_MOST),
            ("master's share", master, MASTER_MOST),
        ):
            verdicts.append((f"{mode.name}: {what} {value:.3f}, at most {bound}", value <= bound))
    print()
    for line, holds in verdicts:
        print("pass" if holds else "miss", line)


def has_slowhttptest() -> bool:
    """Whether slowhttptest is there, if need be after installing it."""
    if shutil.which("slowhttptest") is None and os.getuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-qy", "slowhttptest"], stdout=subprocess.DEVNULL)
    return shutil.which("slowhttptest") is not None


def main() -> int:
    """Run; exit status 1 if slow clients stayed or anything was left behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--pin", action="store_true")
    arguments = parser.parse_args()
    if not has_slowhttptest():
        print("slowhttptest is missing: apt-get install slowhttptest", file=sys.stderr)
        return 2
    cores = sorted(os.sched_getaffinity(0))
    load = ["taskset", "-c", str(cores[0])] if arguments.pin else []
    serve = ["taskset", "-c", str(cores[-1])] if arguments.pin else []
    command = [*serve, sys.executable, "-W", "error", "-m", "stickyd", "run"]
    options = (
        *("--class", "stickyd_test_apps:Page", "--affinity-scope", "request"),
        *("--head-timeout", str(HEAD), "--body-timeout", str(BODY), "--send-timeout", str(SEND)),
    )
    rounds: dict[str, list[Round]] = {mode.name: [] for mode in MODES}
    wrong = []
    with Daemon(*options, command=command) as daemon:
        for number in range(1, arguments.rounds + 1):
            for mode in MODES:
                found = attack(daemon, mode, arguments.clients, load)
                rounds[mode.name].append(found)
                wrong += faults(mode, number, found, arguments.clients)
                print(
                    f"round {number} {mode.name}: p99 {found.alone.p99() * 1000:.1f} ms, with slow"
                    f" clients {found.beside.p99() * 1000:.1f} ms, ratio {found.ratio():.2f},"
                    f" master {100 * found.master:.1f} %",
                    flush=True,
                )
    print()
    table(rounds)
    for line in wrong:
        print("FAULT", line)
    if not wrong:
        print("pass every slow client gone in its time, descriptors as before, no answer wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
