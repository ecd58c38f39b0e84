"""Many requests of many clients over few kept-alive connections: none may go astray.

    python -m tests.slow.million [--requests 1000000]

64 connections, 50,000 clients, pipelined up to 8 deep, 4 workers of which one
is slow; every answer is checked for worker, client and order. Half of the
connections are half-closed behind their last request.
"""

import argparse
import random
import re
import sys
import time

from stickyd.routing.rendezvous import SlotTable
from tests.slow.pipelining import Crowd
from tests.support.daemon import Daemon, wait_for

CLIENTS = 50_000
WORKERS = 4
SLOW_SLOT = 3
ANSWER = re.compile(rb"X-Echo: (\d+)\r\n.*?\r\n\r\nFrom worker (\d+) for (\S+) ", re.DOTALL)


class Clients:
    """Requests of random clients, each of which has its worker."""

    answer = ANSWER

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        table = SlotTable(1, range(1, WORKERS + 1))
        self._clients = []
        while len(self._clients) < CLIENTS:
            name = ".".join(str(chance.randrange(256)) for _ in range(4)).encode()
            self._clients.append((name, table.slot_of(name)))

    def request(self, number: int) -> tuple[bytes, tuple[int, bytes, int]]:
        """A request, and the number, name and slot that are due."""
        name, slot = self._chance.choice(self._clients)
        path = b"/slow?s=0.005" if slot == SLOW_SLOT and number % 199 == 0 else b"/hello"
        request = b"GET %b HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: %b\r\nX-Number: %d\r\n\r\n" % (
            path,
            name,
            number,
        )
        return request, (number, name, slot)

    def judge(self, due: tuple[int, bytes, int], match: re.Match[bytes]) -> str | None:
        """What is wrong with an answer; None if nothing is."""
        if (int(match[1]), match[3], int(match[2])) == due:
            return None
        return f"due {due}, got {match[0][-80:]!r}"


def main() -> int:
    """Run; exit status 1 if anything went astray."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    options = ("--class", "stickyd_test_apps:Numbered", "--affinity-scope", "request")
    with Daemon(*options, workers=WORKERS) as daemon:
        before = daemon.settled_descriptors()
        started = time.monotonic()
        chance = random.Random(arguments.seed)
        run = Crowd(daemon, Clients(chance), arguments.requests, chance)
        run.run()
        took = time.monotonic() - started
        run.close()
        wait_for(lambda: daemon.report()["workers"]["open"] == 0, what="no open connection")
        report = daemon.report()["workers"]
        after = daemon.settled_descriptors()
    lost = arguments.requests - run.answered
    print(f"{run.answered} answers in {took:.0f} s ({run.answered / took:.0f} a second)")
    print(f"at the wrong worker or out of order: {len(run.wrong)}, lost: {lost}")
    print(f"moved: {sum(report['moved'].values())}, arrived: {report['arrived']}")
    print(f"misrouted: {report['misrouted']}, refused: {report['refused'] or 'none'}")
    print(f"descriptors before {list(before.values())}, after {list(after.values())}")
    for line in run.wrong[:10]:
        print(line)
    right = not run.wrong and not lost and before == after and not report["refused"]
    right = right and report["requests"] == arguments.requests
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
