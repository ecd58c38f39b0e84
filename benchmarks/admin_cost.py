"""What ``--admin`` costs a request, scraped every second: ``python -m benchmarks.admin_cost``.

P1 and P2 of a daemon without it, with it, and with a scraper that asks for ``/metrics`` once a
second, in turn. The scraper is on the load's core and asks only while its daemon is measured, so
that what a scrape costs the servers' core is in that daemon's figures and in no other's.
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
"""Load, scope and workers of `benchmarks.workloads`."""


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
        if self._over.wait(EVERY / 2):
            return
        while True:
            with urllib.request.urlopen(self._url, timeout=20) as answer:
                assert b"stickyd_requests_total" in answer.read()
            self.scrapes += 1
            if self._over.wait(EVERY):
                return


def maker(scope: str, workers: int, admin: int | None) -> Maker:
    """stickyd as in P1 and P2; with an admin listener on this port."""
    more = () if admin is None else ("--admin", f"tcp:{admin}:interface=127.0.0.1")
    return who.stickyd(scope, workers, ("--class", who.TWISTED, *more))


def measure(name: str, rounds: int, seconds: int) -> tuple[dict[str, list[Figures]], int]:
    """The figures of the three daemons, and how often one was scraped."""
    load, scope, workers = LOADS[name]
    ports = {UNREAD: free_port(), SCRAPED: free_port()}
    names = (WITHOUT, UNREAD, SCRAPED)
    scrapes = 0
    with Ground() as ground:
        makers = {each: maker(scope, workers, ports.get(each)) for each in names}
        started = start(ground, makers, lambda port: answers(port, load))
        warm_up = Wrk(ground, load, 1)
        for contestant in started:
            warm_up(contestant)
        plain: Measure = Wrk(ground, load, seconds)

        def turn(contestant: Contestant) -> Figures:
            nonlocal scrapes
            if contestant.name != SCRAPED:
                return plain(contestant)
            with Scraper(ports[SCRAPED]) as scraper:
                figures = plain(contestant)
            scrapes += scraper.scrapes
            return figures

        return interleaved(started, turn, rounds), scrapes


def main() -> None:
    """Print medians, and of the ratios to the daemon without it the median and the quartiles."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("workloads", nargs="*", choices=[*LOADS, []], metavar="p1 p2")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=int, default=2)
    given = parser.parse_args()
    keep_to_load_core()
    for name in given.workloads or LOADS:
        figures, scrapes = measure(name, given.rounds, given.seconds)
        print(f"{name}, {given.rounds} rounds of {given.seconds} s, {scrapes} scrapes")
        print(f"{'':20}{'CPU µs':>9}{'ratio':>8}{'quartiles':>16}{'requests/s':>12}{'ratio':>8}")
        for each, rounds in figures.items():
            cost, rate = (
                statistics.median(one[quantity] for one in rounds) for quantity in ("cost", "rate")
            )
            costs, rates = (
                [
                    one[quantity] / other[quantity]
                    for one, other in zip(rounds, figures[WITHOUT], strict=True)
                ]
                for quantity in ("cost", "rate")
            )
            low, middle, high = statistics.quantiles(costs, n=4) if len(costs) > 1 else costs * 3
            print(
                f"{each:20}{cost:9.2f}{middle:8.3f}{f'{low:.3f}–{high:.3f}':>16}"
                f"{rate:12.0f}{statistics.median(rates):8.3f}",
                flush=True,
            )
            failed = sum(one["failed"] for one in rounds)
            if failed:
                print(f"{failed:.0f} requests of {each} failed")


if __name__ == "__main__":
    main()
