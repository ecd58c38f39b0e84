"""Two days of a daemon's life in a few minutes: what it costs must not grow with time.

    python -m tests.slow.soak [--hours 48] [--requests 20000]

An hour is a dose of everything that a day brings: requests of new clients over few kept-alive
connections, each answer checked for worker, client and order (`tests.slow.million`); new
connections for single requests, some of them reset, half-closed, broken off or no HTTP; connections
that another protocol takes over; idle ones that are closed when their time is over. In the first
eight hours the daemon is reloaded, workers are killed, slots come and go, logs are reopened and the
master's program is replaced, and then there is a rush of more clients than anything remembers.
After that it is left alone: in the second day memory has to be flat, which is a slope (least
squares) of less than a twentieth in a day for every process, and no descriptor may be left over.

The second day, since what is remembered is cleared and filled again every few hours, and only after
some such rounds takes no new memory. A twentieth, since a worker goes up and down by half a MiB
meanwhile, and a day tells no smaller slope from that.
"""

import argparse
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.contest import memory
from tests.integration.test_lifecycle import reload
from tests.integration.test_upgrade import upgrade
from tests.slow.million import Clients
from tests.slow.pipelining import Crowd
from tests.slow.slow_clients import cpu_seconds
from tests.support.daemon import Daemon, Reader, read_all, request, wait_for

WORKERS = 4
FILLED_AFTER = 25
"""Hours after which what remembers things is full, and nothing has been replaced for long."""
STEEPEST = 0.05
SINGLE = 1000
RUSH = 20_000
IDLE = 200
UPGRADES = 20
KEEP_ALIVE = "1"
_RESET = b"\1\0\0\0\0\0\0\0"


def slope(values: Sequence[float]) -> float:
    """How much a value that is taken each hour grows in an hour (least squares)."""
    middle = (len(values) - 1) / 2
    mean = sum(values) / len(values)
    moment = sum((hour - middle) * (value - mean) for hour, value in enumerate(values))
    return moment / sum((hour - middle) ** 2 for hour in range(len(values)))


def growth(values: Sequence[float]) -> float:
    """The slope in a day, as a part of the mean."""
    return 24 * slope(values) * len(values) / sum(values)


class Day:
    """A daemon, and the hours it has seen."""

    def __init__(self, daemon: Daemon, requests: int) -> None:
        self.daemon = daemon
        self.requests = requests
        self.failed: list[str] = []
        self.sizes: list[dict[int, int]] = []

    # ---- what an hour brings

    def hour(self, number: int) -> None:
        """One hour; prints its line."""
        daemon = self.daemon
        before = sum(map(cpu_seconds, daemon.family()))
        started = time.monotonic()
        self.moving(number, self.requests)
        cpu = (sum(map(cpu_seconds, daemon.family())) - before) / self.requests
        for at in range(SINGLE):
            self.single(number, at)
        for at in range(UPGRADES):
            self.upgraded(at)
        self.idle()
        wait_for(lambda: daemon.report()["connections"]["open"] == 0, what="no open connection")
        family = daemon.settled_descriptors()
        self.sizes.append({pid: memory(pid) for pid in family})
        sizes = ", ".join(f"{size / 2**20:.2f}" for size in self.sizes[-1].values())
        took = time.monotonic() - started
        print(
            f"| {number} | {sizes} | {', '.join(map(str, family.values()))} |"
            f" {cpu * 1e6:.0f} | {took:.0f} s |",
            flush=True,
        )

    def moving(self, seed: int, requests: int) -> None:
        """Requests of many clients over few connections."""
        chance = random.Random(seed)
        many = Crowd(self.daemon, Clients(chance), requests, chance)
        try:
            many.run()
        finally:
            many.close()
        self.failed += many.wrong
        self.check(many.answered == requests, f"{many.answered} of {requests} answers")

    def check(self, right: bool, what: str) -> None:
        """Remember what is wrong."""
        if not right:
            self.failed.append(what)

    def single(self, hour: int, at: int, kind: int = -1) -> None:
        """A connection for one request, or for less."""
        kind = at % 10 if kind < 0 else kind
        client = f"10.{hour}.{at >> 8}.{at & 255}"
        with self.daemon.connect() as sock:
            if kind == 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                sock.sendall(request(client, "/hello"))
            elif kind == 1:
                sock.sendall(request(client, "/hello"))
                sock.shutdown(socket.SHUT_WR)
                self.check(b"From worker" in read_all(sock), "half-closed: no answer")
            elif kind == 2:
                sock.sendall(b"GET / HTTP/1.1\r\nbroken\r\n\r\n")
                self.check(read_all(sock).startswith(b"HTTP/1.1 400"), "broken: no 400")
            elif kind == 3:
                sock.sendall(request(client, "/hello")[: at % 40])
            else:
                sock.sendall(request(client, "/hello")[:-2] + b"Connection: close\r\n\r\n")
                self.check(b"From worker" in read_all(sock), "single: no answer")

    def upgraded(self, at: int) -> None:
        """A connection that becomes an echo."""
        with self.daemon.connect() as sock:
            offer = b"Connection: Upgrade\r\nUpgrade: echo\r\n\r\n"
            sock.sendall(request(f"10.1.1.{at}", "/upgrade")[:-2] + offer)
            self.check(Reader(sock).response().status == 101, "upgrade: not taken")
            sock.sendall(b"hello")
            self.check(sock.recv(100).endswith(b": hello"), "upgrade: no echo")

    def idle(self) -> None:
        """Connections that are used once and closed by the daemon when their time is over."""
        idle = [self.daemon.connect() for _ in range(IDLE)]
        for at, sock in enumerate(idle):
            sock.sendall(request(f"10.2.{at >> 8}.{at & 255}", "/hello"))
        for sock in idle:
            reader = Reader(sock)
            self.check(reader.response().status == 200, "idle: no answer")
            self.check(reader.at_end(), "idle: not closed in order")
            sock.close()

    # ---- what happens between two hours

    def reload(self) -> None:
        """HUP."""
        reload(self.daemon)
        self.settled()

    def kill(self) -> None:
        """A worker dies."""
        pid = self.daemon.pids()[2]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: self.daemon.pids().get(2) not in (None, pid), what="a replacement")
        self.settled()

    def scale(self) -> None:
        """A slot more, and fewer again."""
        for number, slots in ((signal.SIGTTIN, WORKERS + 1), (signal.SIGTTOU, WORKERS)):
            self.daemon.process.send_signal(number)
            table = list(range(1, slots + 1))
            wait_for(lambda t=table: self.daemon.report()["table"]["slots"] == t, what=str(table))
        self.settled()

    def rotate(self) -> None:
        """Logs are moved away."""
        log = Path(self.daemon.directory.name, "access.log")
        log.rename(log.with_suffix(".old"))
        self.daemon.process.send_signal(signal.SIGUSR1)
        wait_for(log.exists, what="a new log")

    def replace_program(self) -> None:
        """USR2."""
        upgrade(self.daemon)
        self.settled()

    def settled(self) -> None:
        """Wait until one worker in each slot serves, and no other is left."""
        wait_for(self._is_settled, what="one worker a slot")

    def _is_settled(self) -> bool:
        states = [slot["state"] for slot in self.daemon.report()["slots"]]
        return states == ["ready"] * WORKERS and len(self.daemon.family()) == 1 + WORKERS

    def rush(self) -> None:
        """More new clients than anything remembers, so that it is full from now on."""
        for at in range(RUSH):
            self.single(200 + (at >> 16), at & 0xFFFF, kind=4)
        self.moving(200, 10 * RUSH)

    # ---- the end

    def judge(self) -> None:
        """Memory and descriptors over the hours in which nothing was replaced."""
        quiet = self.sizes[FILLED_AFTER - 1 :]
        if len(quiet) < 4:
            print("too few hours to judge memory by")
            return
        for pid in quiet[0]:
            grown = growth([sizes[pid] for sizes in quiet])
            print(f"process {pid}: {grown:+.2%} a day")
            self.check(grown < STEEPEST, f"process {pid} grows by {grown:.1%} a day")


def main() -> int:
    """Live through it; exit status 1 if anything was wrong, or grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=int, default=48)
    parser.add_argument("--requests", type=int, default=20_000, help="moving ones, each hour")
    arguments = parser.parse_args()
    options = ["--class", "stickyd_test_apps:Numbered", "--affinity-scope", "request"]
    options += ["--keep-alive", KEEP_ALIVE, "--access-logfile", "access.log"]
    with Daemon(*options, workers=WORKERS) as daemon:
        day = Day(daemon, arguments.requests)
        events: dict[int, Callable[[], None]] = {
            1: day.reload,
            2: day.kill,
            3: day.scale,
            4: day.rotate,
            5: day.reload,
            6: day.replace_program,
            7: day.kill,
            8: day.reload,
            9: day.rush,
        }
        before = daemon.settled_descriptors()
        print(f"descriptors of master and workers at the start: {list(before.values())}")
        print("| hour | MiB of master, workers | descriptors | CPU µs a request | took |")
        print("|---|---|---|---|---|")
        for number in range(1, arguments.hours + 1):
            day.hour(number)
            if number in events and number < arguments.hours:
                events[number]()
        day.judge()
        after = daemon.settled_descriptors()
        (master, *workers), (master_after, *workers_after) = before.values(), after.values()
        # Twisted reserves a descriptor when it listens; a program that takes sockets over has none.
        same = workers == workers_after and 0 <= master - master_after <= 1
        day.check(same, f"descriptors: {list(before.values())}, then {list(after.values())}")
    for line in day.failed[:20]:
        print(f"WRONG: {line}")
    return 1 if day.failed else 0


if __name__ == "__main__":
    sys.exit(main())
