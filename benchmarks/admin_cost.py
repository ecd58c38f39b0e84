"""What ``--admin`` costs, scraped every second: ``python -m benchmarks.admin_cost``.

P1 and P2 of a daemon without it, with it, and with a scraper that asks for ``/metrics`` once a
second, in turn. Two things cost: workers measure times, which each request pays, and the master
answers the scraper. The first is the ratio of the workers' CPU time a request in two turns that
follow each other; the second is what the master takes in a turn with scrapes beyond what it takes
in one without. Together they are what a daemon that has a core for itself serves less; on a busy
machine, where it gets a part of one, scrapes would weigh more than they do.
"""

import argparse
import statistics
import threading
import urllib.request

from benchmarks import contestants as who
from benchmarks.contest import (
    Contestant,
    Figures,
    Ground,
    Maker,
    Measure,
    interleaved,
    keep_to_load_core,
    start,
)
from benchmarks.correctness import answers
from benchmarks.load import Load, Wrk
from tests.support.daemon import free_port

WITHOUT, UNREAD, SCRAPED = "without --admin", "--admin", "--admin, scraped"
EVERY = 1.0
LOADS = {
    "p1": (Load(mixed=False), "connection", 2),
    "p2": (Load(mixed=True), "request", 4),
}
"""Load, scope and workers, as in `benchmarks.workloads`."""


class Scraper:
    """Asks a daemon for its metrics once a second; use as a context manager.

    :ivar scrapes: how often it has got an answer.
    """

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/metrics"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.scrapes = 0

    def __enter__(self) -> "Scraper":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        # The first one in the midst of the first second.
        wait = EVERY / 2
        while not self._over.wait(wait):
            wait = EVERY
            with urllib.request.urlopen(self._url, timeout=20) as answer:
                assert b"stickyd_requests_total" in answer.read()
            self.scrapes += 1


def maker(scope: str, workers: int, admin: int | None) -> Maker:
    """stickyd as in P1 and P2; with an admin listener on this port."""
    more = () if admin is None else ("--admin", f"tcp:{admin}:interface=127.0.0.1")
    return who.stickyd(scope, workers, ("--class", who.TWISTED, *more))


def measure(name: str, rounds: int, seconds: int) -> dict[str, list[Figures]]:
    """The figures of the three daemons; those with ``scrapes`` have their number."""
    load, scope, workers = LOADS[name]
    ports = {UNREAD: free_port(), SCRAPED: free_port()}
    with Ground() as ground:
        names = (WITHOUT, UNREAD, SCRAPED)
        makers = {each: maker(scope, workers, ports.get(each)) for each in names}
        started = start(ground, makers, lambda port: answers(port, load))
        plain: Measure = Wrk(ground, load, seconds)

        def turn(contestant: Contestant) -> Figures:
            if contestant.name != SCRAPED:
                return plain(contestant)
            with Scraper(ports[SCRAPED]) as scraper:
                figures = plain(contestant)
            return {**figures, "scrapes": float(scraper.scrapes)}

        interleaved(started, turn, 1)
        return interleaved(started, turn, rounds)


def by_workers(one: Figures) -> float:
    """CPU microseconds of the workers for a request."""
    return one["cost"] - one["master"]


def of_a_scrape(figures: dict[str, list[Figures]], seconds: int) -> float:
    """Seconds of the master's CPU time, the median over rounds."""

    def by_master(one: Figures) -> float:
        return one["master"] * one["rate"] * seconds / 1e6

    return statistics.median(
        (by_master(one) - by_master(other)) / one["scrapes"]
        for one, other in zip(figures[SCRAPED], figures[UNREAD], strict=True)
        if one["scrapes"]
    )


def report(figures: dict[str, list[Figures]], seconds: int) -> None:
    """Print it."""
    print(f"{'workers, CPU µs a request':28}{'least':>8}{'median':>8}{'ratio':>8}{'quartiles':>16}")
    pooled: list[float] = []
    for name, rounds in figures.items():
        costs = [by_workers(one) for one in rounds]
        pairs = zip(costs, figures[WITHOUT], strict=True)
        ratios = [cost / by_workers(other) for cost, other in pairs]
        line = f"{name:28}{min(costs):8.2f}{statistics.median(costs):8.2f}"
        if name != WITHOUT:
            pooled += ratios
            low, middle, high = statistics.quantiles(ratios, n=4)
            line += f"{middle:8.3f}{f'{low:.3f}–{high:.3f}':>16}"
        print(line)
        if failed := sum(one["failed"] for one in rounds):
            print(f"{failed:.0f} requests failed")
    requests, scrape = statistics.median(pooled), of_a_scrape(figures, seconds)
    print(f"a scrape: {scrape * 1e3:.1f} ms of the master's CPU time")
    share = scrape / EVERY
    print(f"together: {requests - 1:+.1%} a request, {share:.1%} of a core", flush=True)


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("workloads", nargs="*", metavar="p1 p2", help="by default both")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=int, default=2)
    given = parser.parse_args()
    if unknown := [name for name in given.workloads if name not in LOADS]:
        parser.error(f"{unknown[0]!r} is none of {' '.join(LOADS)}")
    if given.rounds < 2:
        parser.error("--rounds: at least 2")
    keep_to_load_core()
    for name in given.workloads or LOADS:
        print(f"{name}, {given.rounds} rounds of {given.seconds} s")
        report(measure(name, given.rounds, given.seconds), given.seconds)


if __name__ == "__main__":
    main()
