"""One daemon under load, and the lines that say what came of it."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from stickyd.routing.policy import Policy
from stickyd.settings import RoutingSettings, Settings
from tests.slow.life.load import Load
from tests.slow.life.wrk import Wrk
from tests.support.daemon import Daemon, wait_for

PATIENCE = 90.0
LISTED = 20


@attrs.define
class Results:
    """One printed line for each result; ``wrong`` counts those that must hold and do not."""

    wrong: int = 0

    def check(self, holds: bool, text: str) -> None:
        """Something that must hold."""
        self.wrong += not holds
        print(f"  {'ok   ' if holds else 'WRONG'} {text}", flush=True)

    def say(self, text: str) -> None:
        """Something to know."""
        print(f"        {text}", flush=True)

    def list(self, lines: list[str]) -> None:
        """The first of many."""
        for line in lines[:LISTED]:
            self.say(line)
        if len(lines) > LISTED:
            self.say(f"... and {len(lines) - LISTED} more")


@attrs.define
class Arguments:
    """What the command line says.

    :ivar rounds: of every scenario; None for its own number.
    :ivar delay: milliseconds that each of wrk's connections rests between requests.
    :ivar options: more for the daemon.
    """

    rounds: int | None = None
    delay: int = 10
    seed: int = 1
    options: tuple[str, ...] = ()


class Run:
    """A daemon with the app for load, and its clients. `under_load` makes one."""

    def __init__(self, daemon: Daemon, workers: int, scope: str, results: Results) -> None:
        self.daemon = daemon
        self.scope = scope
        self.results = results
        self.check = results.check
        self.say = results.say
        self.life = Path(daemon.directory.name)
        self.settings = Settings(workers=workers, routing=RoutingSettings(scope=scope))
        self.started = time.monotonic()
        self._seen = 0

    # ---- the daemon

    def policy(self, slots: int, version: int = 1) -> Policy:
        """The placement among the slots 1 to ``slots``."""
        return self.settings.policy(range(1, slots + 1), version)

    def signal(self, number: int) -> None:
        """To the master; from now on `said` looks at what it says after that."""
        self._seen = len(self.daemon.log)
        self.daemon.process.send_signal(number)

    def mark(self) -> None:
        """From now on `said` looks at what comes."""
        self._seen = len(self.daemon.log)

    def said(self, *texts: str, seconds: float = PATIENCE) -> str:
        """The first new line of the log with one of these texts, as soon as it is there."""
        at = self._seen

        def find() -> str:
            nonlocal at
            while at < len(self.daemon.log):
                line = self.daemon.log[at]
                at += 1
                if any(text in line for text in texts):
                    return line
            return ""

        line = wait_for(find, seconds, f"{texts} in the log")
        self._seen = at
        return str(line)

    def count_said(self, text: str) -> int:
        """How many lines of the log have it."""
        return sum(text in line for line in list(self.daemon.log))

    def elapsed(self) -> float:
        """Seconds since the load began."""
        return time.monotonic() - self.started

    # ---- what must hold in the end

    def check_nothing_failed(self, load: Load) -> None:
        """No request and no connection of ours may have failed."""
        counts = load.counts
        self.check(
            not load.failures,
            f"own client: {counts['answered']} answered, {counts['bodies']} with bodies,"
            f" {counts['slots checked']} with slot checked; failed {len(load.failures)}",
        )
        self.results.list(load.failures)
        self.check(load.same_ports(), "client ports are those of before")

    def check_wrk(self, wrk: Wrk) -> None:
        """No request of wrk's may have failed."""
        told = wrk.stop()
        self.check(told.failed() == 0 and told.requests > 0, str(told))

    def check_places(self) -> None:
        """No connection is left, and none is still counted."""
        report = self.daemon.report

        def counted() -> tuple[int, int]:
            now = report()
            return now["workers"]["open"], now["connections"]["open"]

        with contextlib.suppress(AssertionError):
            wait_for(lambda: counted() == (0, 0), 30)
        left = counted()
        self.check(left == (0, 0), f"connections left: {left[0]} in workers, {left[1]} counted")

    def check_counters(self) -> None:
        """Nothing lost, nothing refused, nobody left over."""
        self.check_places()
        report = self.daemon.report()
        workers, refused = report["workers"], report["master"]["refused"]
        self.check(
            workers["lost"] == 0 and not workers["refused"] and not refused,
            f"counters: {workers['requests']} requests, moved {sum(workers['moved'].values())},"
            f" returned {workers['returned']}, lost {workers['lost']},"
            f" refused {workers['refused'] or 0} and {refused or 0}",
        )

    def check_descriptors(self, before: dict[int, int], workers: bool = True) -> None:
        """As many processes and descriptors as before."""
        wait_for(lambda: len(self.daemon.family()) == len(before), 60, "the end of old workers")
        after = self.daemon.settled_descriptors()
        master = self.daemon.process.pid
        # Twisted reserves a descriptor when it listens; a program that takes sockets over has none.
        same = 0 <= before[master] - after[master] <= bool(upgrades(self.daemon.report()))
        if workers:
            others = ([n for pid, n in each.items() if pid != master] for each in (before, after))
            same = same and sorted(next(others)) == sorted(next(others))
        self.check(
            same, f"descriptors before {list(before.values())}, after {list(after.values())}"
        )


@contextlib.contextmanager
def daemon_for_load(
    results: Results, scope: str, arguments: Arguments, *options: str, workers: int
) -> Iterator[Run]:
    """A daemon that serves the app for load; ended in any case."""
    chosen = ("--class", "stickyd_load_app:Load", "--affinity-scope", scope)
    daemon = Daemon(*chosen, *options, *arguments.options, workers=workers)
    daemon._environment["LIFE"] = daemon.directory.name
    daemon._environment["LIFE_NOTES"] = "1" if "--notes" in options else ""
    daemon.command = [word for word in daemon.command if word != "--notes"]
    with daemon:
        yield Run(daemon, workers, scope, results)


@contextlib.contextmanager
def under_load(
    results: Results,
    scope: str,
    arguments: Arguments,
    *options: str,
    workers: int,
    check_workers: bool = True,
) -> Iterator[tuple[Run, Load]]:
    """A daemon under the load of both clients, of which no request may fail."""
    with daemon_for_load(results, scope, arguments, *options, workers=workers) as run:
        before = run.daemon.settled_descriptors()
        load = Load(run.daemon.port, run.policy(workers), scope, seed=arguments.seed)
        wrk = Wrk(run.daemon.port, arguments.delay, arguments.seed)
        try:
            load.start()
            yield run, load
            load.finish()
            run.check_wrk(wrk)
        finally:
            wrk.kill()
        run.check_nothing_failed(load)
        run.check_counters()
        run.check_descriptors(before, check_workers)


def cpu_seconds(pid: int) -> tuple[float, float]:
    """CPU of a process itself, and of its children that it has waited for (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own, children = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    tick = os.sysconf("SC_CLK_TCK")
    return own / tick, children / tick


def upgrades(report: dict[str, Any]) -> int | None:
    """How often the master has replaced its program; None if this daemon cannot."""
    return report.get("upgrades", report["master"].get("upgrades"))
