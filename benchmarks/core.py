"""What reading a head and placing a request cost, in Python and in the compiled core.

``python -m benchmarks.core``: microseconds of processor time, the least of several rounds.
"""

import time
import timeit
from collections.abc import Callable

from stickyd.core.head_reader import reader
from stickyd.core.native import CORE
from stickyd.core.placer import placer
from stickyd.http1.head_parser import Head, read_head
from stickyd.http1.limits import Limits
from stickyd.routing.policy import Policy

LIMITS = Limits()
PEER = "127.0.0.1"
CLIENTS = 100_000
"""More than the policy remembers, as in a mix of many clients."""

WRK = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:3000\r\nX-Forwarded-For: 10.10.10.10\r\n\r\n"
BROWSER = (
    b"GET /news/today?page=2&sort=new HTTP/1.1\r\n"
    b"Host: www.example.com\r\n"
    b"Connection: keep-alive\r\n"
    b"Cache-Control: max-age=0\r\n"
    b'sec-ch-ua: "Chromium";v="124", "Google Chrome";v="124", "Not-A.Brand";v="99"\r\n'
    b"sec-ch-ua-mobile: ?0\r\n"
    b'sec-ch-ua-platform: "Linux"\r\n'
    b"Upgrade-Insecure-Requests: 1\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
    b" Chrome/124.0.0.0 Safari/537.36\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
    b"*/*;q=0.8\r\n"
    b"Sec-Fetch-Site: none\r\n"
    b"Sec-Fetch-Mode: navigate\r\n"
    b"Sec-Fetch-User: ?1\r\n"
    b"Sec-Fetch-Dest: document\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Accept-Language: en-US,en;q=0.9\r\n"
    b"Cookie: sid=0123456789abcdef; theme=dark\r\n"
    b"X-Forwarded-For: 203.0.113.7\r\n"
    b"\r\n"
)


def microseconds(call: Callable[[], object], number: int) -> float:
    """Processor time of a call that is made so often; the least of several rounds."""
    rounds = timeit.repeat(call, number=number, repeat=15, timer=time.process_time)
    return min(rounds) / number * 1e6


def heads() -> None:
    """One line for each kind of head."""
    read = reader(CORE.native)
    for name, data in (
        ("wrk's head with X-Forwarded-For", WRK),
        ("a browser's head", BROWSER),
        ("the same, chunked (asks Python)", BROWSER[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"),
        ("the same in LF (asks Python)", BROWSER.replace(b"\r\n", b"\n")),
    ):
        python = microseconds(lambda data=data: read_head(data, LIMITS, 0), 4000)  # type: ignore[misc]
        core = microseconds(lambda data=data: read(data, LIMITS, 0), 10_000)  # type: ignore[misc]
        print(f"{name}, {len(data)} bytes: Python {python:.2f}, core {core:.2f}")


def placements() -> None:
    """New clients and known ones, by X-Forwarded-For."""
    policy = Policy.build("xff,src", PEER, "rendezvous", 1, range(1, 5))
    compiled = placer(policy, CORE.native)
    requests = [
        WRK.replace(b"10.10.10.10", b"10.%d.%d.7" % divmod(number, 256))
        for number in range(CLIENTS)
    ]
    verdicts = [read_head(data, LIMITS) for data in requests]
    read = [verdict for verdict in verdicts if isinstance(verdict, Head)]

    def in_python() -> None:
        for head in read:
            policy.place(head, PEER)

    python = microseconds(in_python, 1) / CLIENTS
    print(f"placing {CLIENTS} clients in turn: Python {python:.2f}", end="")
    if compiled is not None:

        def in_core() -> None:
            for data in requests:
                compiled.place(data, PEER)

        core = microseconds(in_core, 1) / CLIENTS
        print(f", core {core:.2f} (reading the head included)", end="")
    print()


if __name__ == "__main__":
    print(f"stickyd runs on the {CORE}")
    heads()
    placements()
