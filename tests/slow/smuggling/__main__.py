"""Request smuggling through real proxies: ``python -m tests.slow.smuggling [--corpus]``.

nginx and HAProxy stand in front of a daemon in request scope. Each payload is
sent through each proxy, and behind it, on a connection of its own, the request
of another client, which the proxy sends down the same connection if it can.
The number of requests that the proxy says it forwarded and the number that
stickyd has met (served, refused, or cut off within the body) must be the same,
and the other client must get the answer to its own request. Otherwise proxy
and stickyd disagree on where a request ends, and the exit status is 1.

``--corpus`` sends every case of the corpus too, which takes some minutes more.
"""

import argparse
import contextlib
import re
import shutil
import signal
import socket
import sys
import time
from collections import Counter

import attrs

from tests.slow.smuggling.payloads import payloads
from tests.slow.smuggling.proxies import Proxies
from tests.support.daemon import Daemon, read_all, wait_for

SILENCE = 0.25
"""Seconds without a byte after which an answer is taken to be over."""

ATTACKER, VICTIM = "127.0.0.2", "127.0.0.3"

VICTIMS = b"GET /victim HTTP/1.1\r\nHost: victim\r\nConnection: close\r\n\r\n"


@attrs.frozen
class Met:
    """What stickyd has met since it started."""

    served: int
    refused: int
    cut_off: int

    @classmethod
    def ask(cls, daemon: Daemon) -> "Met":
        """The counters, when they have come to rest."""
        last = None
        while True:
            report = daemon.report()
            workers, master = report["workers"], report["master"]
            refused = sum(workers["refused"].values()) + sum(master["refused"].values())
            met = cls(workers["requests"], refused, workers["lost"])
            if met == last:
                return met
            last = met
            # There is no event to wait for in another process's state.
            time.sleep(0.03)

    def since(self, before: "Met") -> "Met":
        """The difference."""
        return Met(
            self.served - before.served,
            self.refused - before.refused,
            self.cut_off - before.cut_off,
        )

    @property
    def total(self) -> int:
        """Every request that has come this far."""
        return self.served + self.refused + self.cut_off


@attrs.frozen
class Result:
    """One line of the table; the victim's request is counted in."""

    statuses: list[int]
    forwarded: int
    met: Met
    victim: str

    @property
    def agreed(self) -> bool:
        """Whether proxy and stickyd saw the same requests."""
        return self.forwarded == self.met.total and self.victim == "200"


def attack(port: int, payload: bytes) -> list[int]:
    """Send a payload; the statuses of what came back."""
    answer = b""
    with contextlib.suppress(OSError):
        address = ("127.0.0.1", port)
        with socket.create_connection(address, 10, source_address=(ATTACKER, 0)) as sock:
            sock.sendall(payload)
            sock.settimeout(SILENCE)
            while data := sock.recv(65536):
                answer += data
    # An answer may begin in the line that ended the body before it.
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]


def victim(port: int) -> str:
    """The status of an innocent request, if the answer is its own."""
    try:
        address = ("127.0.0.1", port)
        with socket.create_connection(address, 10, source_address=(VICTIM, 0)) as sock:
            sock.sendall(VICTIMS)
            answer = read_all(sock)
    except OSError as error:
        return type(error).__name__
    status = answer.split(b" ", 2)[1].decode() if answer.startswith(b"HTTP/1.") else "none"
    if status == "200" and b"\nX-Echo: GET /victim 0 " not in answer.replace(b"x-echo", b"X-Echo"):
        return "another's"
    return status


def through(daemon: Daemon, proxies: Proxies, name: str, payload: bytes) -> Result:
    """One payload and one victim through one proxy."""
    before, said = Met.ask(daemon), proxies.forwarded(name)
    statuses = attack(proxies.ports[name], payload)
    own = victim(proxies.ports[name])
    with contextlib.suppress(AssertionError):
        # A proxy logs a request when it is over, which may be after the client has left.
        wait_for(
            lambda: proxies.forwarded(name) - said == Met.ask(daemon).since(before).total, 10.0
        )
    return Result(statuses, proxies.forwarded(name) - said, Met.ask(daemon).since(before), own)


def main() -> int:
    """Run from the command line; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--corpus", action="store_true", help="send the corpus too")
    options = parser.parse_args()
    missing = [name for name in ("nginx", "haproxy") if shutil.which(name) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}")
        return 2
    # As Control-C does: through every __exit__, so that no proxy stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    disagreed = 0
    totals: dict[str, Counter[str]] = {}
    print("forwarded/served+refused+cut off, both with the victim's own; what the attacker got")
    started = time.monotonic()
    echo = ("--class", "stickyd_echo_app:Echo", "--affinity-scope", "request")
    with Daemon(*echo) as daemon, Proxies(daemon.port) as proxies:
        for title, payload in payloads(options.corpus):
            cells = []
            for name in proxies.ports:
                result = through(daemon, proxies, name, payload)
                met = result.met
                got = ",".join(map(str, result.statuses)) or "-"
                cell = f"{result.forwarded}/{met.served}+{met.refused}+{met.cut_off} {got}"
                if not result.agreed:
                    disagreed += 1
                    cell += f" DISAGREE (victim: {result.victim})"
                cells.append(f"{name} {cell}")
                total = totals.setdefault(name, Counter())
                total["forwarded"] += result.forwarded
                total.update(attrs.asdict(met))
                total["disagreed"] += not result.agreed
            print(f"{title:36} | " + " | ".join(cells), flush=True)
    for name, total in totals.items():
        print(f"{name}: " + ", ".join(f"{what} {number}" for what, number in total.items()))
    print(f"{disagreed} disagreements in {time.monotonic() - started:.0f} s")
    return 1 if disagreed else 0


if __name__ == "__main__":
    sys.exit(main())
