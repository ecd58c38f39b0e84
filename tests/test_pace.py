"""Bodies and answers that go on, but slowly: who is cut, when, and who never is."""

import socket
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Site

from stickyd.deadlines import SWEEP_EVERY
from stickyd.handoff.frame import Frame, Kind
from stickyd.handoff.inbox import make_inbox, try_put
from stickyd.places import Tally
from stickyd.settings import Settings
from stickyd.worker.apps import WebApp
from stickyd.worker.gate import State
from stickyd.worker.patience import Pace
from stickyd.worker.worker import Worker
from tests.daemon import Daemon, request, wait_for
from tests.stepping import SteppingReactor

TIMEOUT = 10.0
RATE = 100
"""Bytes a second, so that 1,000 bytes must move in each window."""

BLOB = 2_000_000


class Decision(unittest.TestCase):
    """The rule alone: ``moves`` are (at second, bytes so far)."""

    def late_at(self, moves: list[tuple[float, int]], rate: int = RATE) -> float:
        pace = Pace(rate)
        until = 0.0
        for now, moved in moves:
            if until and until <= now:
                break
            until = pace.deadline(State.BODY, now, moved, TIMEOUT)
        return until

    def test_silence(self) -> None:
        self.assertEqual(self.late_at([(5, 0)]), 15)

    def test_a_trickle_extends_nothing(self) -> None:
        self.assertEqual(self.late_at([(5 + n, 99 * n) for n in range(100)]), 15)

    def test_enough_is_enough(self) -> None:
        moves = [(float(n), 112 * n) for n in range(100)]
        self.assertGreater(self.late_at(moves), 99)

    def test_fast_then_silent(self) -> None:
        self.assertEqual(self.late_at([(0, 0), (3, 10**6), (4, 10**6 + 1)]), 13)

    def test_rate_0_is_silence_only(self) -> None:
        self.assertEqual(self.late_at([(9.0 * n, n) for n in range(10)], rate=0), 91)
        self.assertEqual(self.late_at([(0, 7), (5, 7)], rate=0), 10)

    def test_every_wait_has_its_own_window(self) -> None:
        pace = Pace(RATE)
        self.assertEqual(pace.deadline(State.BODY, 0, 0, TIMEOUT), 10)
        self.assertEqual(pace.deadline(State.ANSWER, 4, 0, TIMEOUT), 14)
        self.assertEqual(pace.deadline(State.ANSWER, 6, 0, TIMEOUT), 14)
        pace.stop()
        self.assertEqual(pace.deadline(State.ANSWER, 7, 0, TIMEOUT), 17)


class Blob(Resource):
    """A big page, written at once."""

    isLeaf = True

    def render(self, request: Any) -> bytes:
        return b"x" * BLOB if request.method == b"GET" else b"%d" % len(request.content.read())


class InAWorker(unittest.TestCase):
    """A real channel over loopback TCP, in a time of its own."""

    def setUp(self) -> None:
        settings = Settings(workers=1, body_timeout=TIMEOUT, send_timeout=TIMEOUT, min_rate=RATE)
        self.reactor = reactor = SteppingReactor()
        sender, receiver = make_inbox()
        site = WebApp(Site(Blob(), reactor=reactor))
        tally = Tally()
        self.addCleanup(tally.close)
        self.worker = Worker(
            reactor, settings, 1, site, receiver, {}, lambda slot, named: None, tally
        )
        self.worker.start()
        with socket.socket() as listening:
            # Small, so that what the kernel takes says little about the client's pace.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            self.client = socket.socket()
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            self.client.connect(listening.getsockname())
            accepted, self.peer = listening.accept()
        try_put(sender, Frame(Kind.PLACED, 1, self.peer, None).encode(), accepted.fileno())
        accepted.close()
        for end in (sender, receiver):
            self.addCleanup(end.close)
        self.addCleanup(self.leave)
        self.got = b""

    def leave(self) -> None:
        """The client goes, and the worker with it."""
        self.client.close()
        self.reactor.settle()
        self.reactor.advance(SWEEP_EVERY)
        self.worker.retire(0)
        self.assertEqual(self.worker.sweeper.members, set())
        self.worker.poller.close()

    def open(self) -> bool:
        return bool(self.worker.report()["open"])

    def pass_time(self, seconds: float, each: Callable[[], Any]) -> float:
        """Let time pass until the worker has the connection no more; the seconds it took."""
        start = self.reactor.seconds()
        while self.open() and self.reactor.seconds() - start < seconds:
            self.reactor.settle()
            each()
            self.reactor.settle()
            self.reactor.advance(SWEEP_EVERY)
        return self.reactor.seconds() - start

    def begin(self, data: bytes) -> None:
        self.client.sendall(data)
        while not self.worker.counters.adopted:
            self.reactor.settle()

    def take(self, most: int) -> bool:
        """Take at most so many bytes; whether the connection goes on."""
        wanted = len(self.got) + most
        while len(self.got) < wanted:
            self.reactor.settle()
            try:
                data = self.client.recv(wanted - len(self.got), socket.MSG_DONTWAIT)
            except BlockingIOError:
                return True
            self.got += data
            if not data:
                return False
        return True

    def test_a_body_that_trickles_is_408_in_its_time(self) -> None:
        self.begin(request("10.0.0.1", "/", "POST", bytes(10**5))[: -(10**5)])
        took = self.pass_time(100, lambda: self.client.sendall(b"b"))
        self.assertGreaterEqual(took, TIMEOUT)
        self.assertLessEqual(took, TIMEOUT + 2 * SWEEP_EVERY)
        self.take(4096)
        self.assertTrue(self.got.startswith(b"HTTP/1.1 408 "), self.got)

    def test_a_slow_body_that_goes_on_is_served(self) -> None:
        self.begin(request("10.0.0.1", "/", "POST", bytes(5000))[:-5000])
        part = bytes(int(2 * RATE * SWEEP_EVERY))
        sent = 0

        def send() -> None:
            nonlocal sent
            if sent < 5000:
                sent += self.client.send(part)

        took = self.pass_time(TIMEOUT * 2.6, send)
        self.assertGreater(took, TIMEOUT * 2.5)
        self.take(4096)
        self.assertTrue(self.got.startswith(b"HTTP/1.1 200 "), self.got)
        self.assertTrue(self.got.endswith(b"\r\n\r\n5000"), self.got)

    def test_an_answer_that_is_taken_in_drops_is_cut_in_its_time(self) -> None:
        self.begin(request("10.0.0.1"))
        took = self.pass_time(100, lambda: self.take(5))
        self.assertGreaterEqual(took, TIMEOUT)
        self.assertLessEqual(took, TIMEOUT + 2 * SWEEP_EVERY)
        with self.assertRaises(ConnectionResetError):
            while self.client.recv(65536):
                pass

    def test_an_answer_that_is_taken_slowly_comes_whole(self) -> None:
        """The last one too, though the worker has nothing else to do with the connection."""
        for last in (b"", b"Connection: close\r\n"):
            with self.subTest(last=last):
                self.doCleanups()
                self.setUp()
                self.begin(request("10.0.0.1")[:-2] + last + b"\r\n")
                # So slow that the kernel has room for more once in several windows.
                took = self.pass_time(TIMEOUT * 5, lambda: self.take(int(8 * RATE * SWEEP_EVERY)))
                self.assertGreaterEqual(took, TIMEOUT * 5)
                while self.take(65536) and len(self.got.partition(b"\r\n\r\n")[2]) < BLOB:
                    pass
                self.assertEqual(self.got.partition(b"\r\n\r\n")[2], b"x" * BLOB)


class Unsent(unittest.TestCase):
    def test_the_kernel_holds_little_for_a_client_that_takes_nothing(self) -> None:
        with Daemon("--class", "stickyd_test_apps:Page") as daemon, daemon.connect() as sock:
            sock.sendall(request("10.0.0.1", "/stream?n=400"))
            queued = wait_for(lambda: self.queued(sock.getsockname()[1]), what="an answer")
            # Until nothing more is added.
            last = -1
            while queued != last:
                last = queued
                wait_for(lambda: daemon.report()["workers"]["open"] == 1)
                queued = self.queued(sock.getsockname()[1])
            self.assertLess(queued, 512 * 1024)

    def queued(self, port: int) -> int:
        """Bytes in the send queue of the server's end (proc_net_tcp in the kernel's docs)."""
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[2].partition(":")[2], 16) == port:
                return int(fields[4].partition(":")[0], 16)
        return 0
