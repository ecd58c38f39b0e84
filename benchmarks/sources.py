"""What each source of keys costs beside ``xff``: ``python -m benchmarks.sources``.

P1's and P2's loads (2 and 4 workers) on stickyd with one chain each, interleaved: CPU time of all
its processes for a request, and the ratio to ``xff``. Every client of ``insert`` has its cookie,
every id of ``learn`` is known; with ``learn, repeated`` the app repeats the id in every answer.
Requests of ``least`` stay with their connection; with ``least, proxied`` they come from a trusted
peer, and each is placed by load.
"""

import argparse
import socket
import statistics
import sys
from collections.abc import Sequence

import attrs

from benchmarks import contestants as who
from benchmarks.contest import Contestant, Ground, Unavailable, keep_to_load_core, start
from benchmarks.correctness import answers
from benchmarks.load import Load, Wrk, thread_client
from stickyd.routing.signed_keys import make, secret_of
from tests.support.daemon import Reader

CLIENTS = 64


@attrs.frozen
class Source:
    """One chain, and the line of a request by which it places.

    :ivar name: of the header.
    :ivar values: of it, one for each client.
    :ivar trusted: peers.
    :ivar path: what is asked for.
    """

    affinity: str
    name: str
    values: Sequence[str]
    trusted: str = "127.0.0.0/8"
    path: str = "/"


def cookies(slots: int) -> list[str]:
    """A valid cookie of each client, at home in all slots in turn."""
    return [
        "S=" + make(at % slots + 1, at.to_bytes(12, "big"), secret_of(1)) for at in range(CLIENTS)
    ]


ADDRESSES = [thread_client(at) for at in range(CLIENTS)]
NAMES = [f"id-{at:04}" for at in range(CLIENTS)]
NOBODY = "192.0.2.1"


def sources(slots: int) -> dict[str, Source]:
    """By the name in the table."""
    return {
        "xff": Source("xff,src", "X-Forwarded-For", ADDRESSES),
        "insert": Source("insert(S),src", "Cookie", cookies(slots)),
        "browser": Source("insert(S),least", "Cookie", cookies(slots)),
        "learn": Source("learn(hdr(X-Id)),xff,src", "X-Id", NAMES),
        "learn, repeated": Source("learn(hdr(X-Id)),xff,src", "X-Id", NAMES, path="/repeat"),
        "least": Source("least", "X-Forwarded-For", ADDRESSES, NOBODY),
        "least, proxied": Source("least", "X-Forwarded-For", ADDRESSES),
    }


def learn(port: int) -> None:
    """Have the app hand out the id of each client, at the client's home."""
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        reader = Reader(sock)
        for address, name in zip(ADDRESSES, NAMES, strict=True):
            head = f"GET /repeat HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {address}\r\n"
            sock.sendall(f"{head}X-Id: {name}\r\n\r\n".encode())
            reader.response()


def run(ground: Ground, mixed: bool, rounds: int, seconds: int) -> dict[str, list[float]]:
    """CPU microseconds of a request by source, one for each round."""
    workers = 4 if mixed else 2
    chosen = sources(workers)
    app = ("--class", "benchmarks.sources_site:Page")
    makers = {
        name: who.stickyd(
            "request", workers, (*app, "--affinity", each.affinity), trusted=each.trusted
        )
        for name, each in chosen.items()
    }
    started = start(ground, makers, lambda port: answers(port, Load(mixed=True)))
    loads = {
        name: Load(mixed, path=each.path, clients=each.values, header=each.name)
        for name, each in chosen.items()
    }

    def measure(contestant: Contestant, length: int) -> float:
        return Wrk(ground, loads[contestant.name], length)(contestant)["cost"]

    for contestant in started:
        learn(contestant.port)
        measure(contestant, 1)
    figures: dict[str, list[float]] = {contestant.name: [] for contestant in started}
    for _ in range(rounds):
        for contestant in started:
            figures[contestant.name].append(measure(contestant, seconds))
    for contestant in started:
        ground.stop(contestant.processes)
    return figures


def main() -> int:
    """Measure and print; 2 if that was not possible."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sources", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    given = parser.parse_args()
    try:
        keep_to_load_core()
        with Ground() as ground:
            for mixed in (False, True):
                figures = run(ground, mixed, given.rounds, given.seconds)
                print(f"{'p2' if mixed else 'p1':20}{'CPU µs':>8}  ratio to xff (least to most)")
                for name, found in figures.items():
                    ratios = [a / b for a, b in zip(found, figures["xff"], strict=True)]
                    middle = statistics.median(ratios)
                    print(
                        f"{name:20}{statistics.median(found):8.1f}  {middle:.2f}"
                        f" ({min(ratios):.2f} to {max(ratios):.2f})",
                        flush=True,
                    )
    except Unavailable as error:
        print(f"benchmarks.sources: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
