"""What a worker holds for a client is given back when the connection ends, however it ends."""

import contextlib
import json
import os
import re
import socket
import struct
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path

from stickyd.worker.runtime.garbage import GROWTH, REST, GrowthCollector, resident
from tests.support.daemon import Daemon, Reader, request, wait_for
from tests.support.extent import SLOW

SIZE = 8 << 20
CLIENTS = 4
ROUNDS = 6
SETTLED = 2
"""Rounds after which a worker has what it needs for the others."""

MOST = SIZE * CLIENTS * 3 // 2
"""Bytes by which a worker may grow in the rounds after that, which ask for four times as much."""

SOCKET = "socket"
"""The answer that is a WebSocket's."""

_RESET = struct.pack("ii", 1, 0)


def memory(pid: int) -> int:
    """Bytes of memory that a process has (proc_pid_status(5))."""
    status = Path(f"/proc/{pid}/status").read_text()
    match = re.search(r"^VmRSS:\s*(\d+) kB$", status, re.MULTILINE)
    assert match
    return int(match[1]) * 1024


# How a client that has read nothing ends its connection, or leaves that to the server.


def close(sock: socket.socket) -> None:
    sock.close()


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    sock.close()


def half_close(sock: socket.socket) -> None:
    sock.shutdown(socket.SHUT_WR)
    sock.close()


def wait(sock: socket.socket) -> None:
    """The server ends it."""


def read(sock: socket.socket) -> None:
    """Reads the answer after all, as far as it goes."""
    with contextlib.suppress(EOFError):
        Reader(sock).response()
    sock.close()


Ending = Callable[[socket.socket], None]

ENDINGS: dict[str, tuple[Ending, str]] = {
    "close": (close, ""),
    "reset": (reset, ""),
    "half-close": (half_close, ""),
    "timeout": (wait, ""),
    "abort": (wait, "&abort=1"),
    "read": (read, ""),
}


class Ended(unittest.TestCase):
    """Clients that ask for something big."""

    def ask(self, daemon: Daemon, count: int, answer: str, ending: str) -> None:
        """``count`` clients ask, and end their connections when the answer begins."""
        end, more = ENDINGS[ending]
        message = request("10.10.10.10", f"/{answer}?n={SIZE}{more}")
        if answer == SOCKET:
            message = message[:-2] + (
                b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
        clients = [socket.socket() for _ in range(count)]
        try:
            for sock in clients:
                if end is not read:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                sock.settimeout(30)
                sock.connect(("127.0.0.1", daemon.port))
                sock.sendall(message)
            for sock in clients:
                sock.recv(1, socket.MSG_PEEK)
            for sock in clients:
                end(sock)
            wait_for(lambda: daemon.report()["connections"]["open"] == 0, what="no connection")
        finally:
            for sock in clients:
                sock.close()

    def forgive(self, daemon: Daemon) -> None:
        """Apps that break off leave tracebacks in the log, which is whole at the daemon's end."""
        daemon.stop()
        daemon.log[:] = [line for line in daemon.log if "Traceback" not in line]


class Kind(Ended):
    """One kind of app. No test by itself."""

    options: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    cycles = True

    def daemon(self) -> Daemon:
        return Daemon("--send-timeout", "1", *self.options, workers=1)

    def each(self, answers: tuple[str, ...], endings: tuple[str, ...]) -> list[tuple[str, str]]:
        """What is tried; all there is in the slow run."""
        return [
            (answer, ending)
            for answer in (self.answers if SLOW else answers)
            for ending in (ENDINGS if SLOW else endings)
            # A WebSocket ends by its own rules, a file in no other way.
            if (answer != SOCKET or ending in ("close", "reset", "half-close"))
            and (answer != "file" or ending != "abort")
        ]

    def check(self) -> None:
        """Memory, round by round; then whether anything is left to the collector."""
        with self.daemon() as daemon:
            for answer, ending in self.each(self.answers[:1], ("close",)):
                if ending == "read":
                    # Nothing is unsent, and who reads last may be too late.
                    continue
                with self.subTest(answer=answer, ending=ending):
                    self.check_memory(daemon, answer, ending)
            if self.cycles:
                # What the start has left, and the first request.
                self.find(daemon)
                self.find(daemon)
                for answer, ending in self.each(self.answers, ("close", "read")):
                    with self.subTest(answer=answer, ending=ending, cycles=True):
                        self.ask(daemon, 1, answer, ending)
                        self.assertEqual(self.find(daemon), [])
            self.forgive(daemon)

    def check_memory(self, daemon: Daemon, answer: str, ending: str) -> None:
        (pid,) = daemon.pids().values()
        sizes = []
        for _ in range(ROUNDS):
            self.ask(daemon, CLIENTS, answer, ending)
            sizes.append(memory(pid))
        told = ", ".join(f"{size / 2**20:.0f}" for size in sizes)
        self.assertLess(sizes[-1] - sizes[SETTLED - 1], MOST, f"MiB after each round: {told}")

    def find(self, daemon: Daemon) -> list[str]:
        """The types of what the collector would find, and nothing else free."""
        with daemon.connect() as sock:
            sock.sendall(request("10.10.10.10", "/cycles"))
            found = json.loads(Reader(sock).response().body)
        # Functions of Twisted's that refer to themselves.
        return [name for name in found if not name.startswith("builtins.")]


class Web(Kind):
    options = ("--class", "stickyd_memory_apps:Web")
    answers = ("whole", "streamed", "push", "pull", "boom", SOCKET)

    def test_what_is_unsent_is_given_back(self) -> None:
        self.check()

    def test_an_apps_own_cycles_are_collected(self) -> None:
        with self.daemon() as daemon:
            (pid,) = daemon.pids().values()
            before = memory(pid)
            for _ in range(ROUNDS):
                self.ask(daemon, CLIENTS, "tangled", "close")
            most = before + ROUNDS * CLIENTS * SIZE // 2
            wait_for(lambda: memory(pid) < most, what=f"memory below {most}")

    def test_a_producer_that_fails_to_stop_keeps_no_connection(self) -> None:
        with self.daemon() as daemon:
            self.ask(daemon, 1, "failing", "close")
            self.assertEqual(daemon.report()["workers"]["open"], 0)
            daemon.said("a producer's fault")
            self.forgive(daemon)


class Klein(Kind):
    options = ("--class", "stickyd_memory_apps:klein")
    answers = ("whole", "streamed", "push", "boom")
    # Klein's request and twisted.web's refer to each other.
    cycles = False

    def test_what_is_unsent_is_given_back(self) -> None:
        self.check()


class Wsgi(Kind):
    options = ("--wsgi", "stickyd_memory_apps:wsgi")
    answers = ("whole", "streamed", "write")

    def test_what_is_unsent_is_given_back(self) -> None:
        self.check()


class Asgi(Kind):
    options = ("--asgi", "stickyd_memory_apps:asgi")
    answers = ("whole", "streamed", "boom", SOCKET)

    def test_what_is_unsent_is_given_back(self) -> None:
        self.check()


class Files(Kind):
    answers = ("file",)
    # There is no app to ask for them.
    cycles = False

    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory(prefix="stickyd-test-")
        self.addCleanup(place.cleanup)
        Path(place.name, "file").write_bytes(b"z" * SIZE)
        self.options = ("--path", place.name)

    def test_what_is_unsent_is_given_back(self) -> None:
        self.check()


class Collector(unittest.TestCase):
    """By sizes and a clock of our own."""

    def setUp(self) -> None:
        self.size = 40 * 2**20
        self.now = 100.0
        self.garbage = 0
        self.took = 0.0
        self.collections = 0
        self.collector = GrowthCollector(lambda: self.size, self.collect, lambda: self.now)

    def collect(self) -> None:
        self.collections += 1
        self.now += self.took
        self.size -= self.garbage
        self.garbage = 0

    def grow(self, size: int, garbage: int = 0) -> int:
        """Grow by ``size`` bytes of which ``garbage`` are garbage; collections so far."""
        self.size += size
        self.garbage += garbage
        self.now += 1
        self.collector.look()
        return self.collections

    def test_it_collects_when_the_process_has_grown(self) -> None:
        step = GROWTH // 4
        self.assertEqual([self.grow(step, step) for _ in range(5)], [0] * 5)
        # By a quarter of its size, too.
        self.assertEqual(self.grow(step, step), 1)
        self.assertEqual(self.size, 40 * 2**20)
        self.assertEqual(self.grow(step), 1)

    def test_what_is_no_garbage_is_looked_at_seldom(self) -> None:
        while self.size < 2**30:
            self.grow(2**20)
        # 40 + 32 + 10 MiB, and so on: each time by more.
        self.assertEqual(self.collections, 8)

    def test_it_goes_by_the_least_size(self) -> None:
        self.grow(2 * GROWTH)
        self.assertEqual(self.collections, 1)
        self.grow(-2 * GROWTH)
        self.assertEqual(self.grow(2 * GROWTH, 2 * GROWTH), 2)

    def test_it_takes_a_small_part_of_the_time(self) -> None:
        self.took = 0.5
        self.assertEqual(self.grow(2 * GROWTH), 1)
        self.grow(-2 * GROWTH)
        self.size += 2 * GROWTH
        # Seconds; the first has passed above.
        rest = int(REST * self.took)
        self.assertEqual([self.grow(0) for _ in range(rest - 2)], [1] * (rest - 2))
        self.assertEqual(self.grow(0), 2)

    def test_the_size_is_the_kernels(self) -> None:
        # To a part of it: both look at a process that goes on.
        self.assertAlmostEqual(resident() / memory(os.getpid()), 1, delta=0.05)
